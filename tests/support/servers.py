"""Kafka and PostgreSQL around one command, which finds them in its settings: for measurements and for trying things.

PYTHONPATH=tests python -m support.servers [--nodes 3] [--shards 4] -- naru bench bus --json
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from support.kafka import Cluster
from support.postgres import Postgres
from support.scaled import MASTER_KEY


def main() -> int:
    parser = argparse.ArgumentParser(prog="support.servers", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3))
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    with Cluster(Path(tempfile.mkdtemp(prefix="naru-servers-")), options.nodes) as cluster:
        postgres = Postgres()
        try:
            postgres.start()
            env = {
                **os.environ,
                "NARU_KAFKA": cluster.servers,
                "NARU_KAFKA_REPLICATION": str(cluster.replication),
                "NARU_DATABASE_URL": postgres.database(),
                "NARU_MASTER_KEY": MASTER_KEY,
                "NARU_SHARDS": str(options.shards),
            }
            return subprocess.run(command, env=env).returncode
        finally:
            postgres.stop()


if __name__ == "__main__":
    sys.exit(main())
