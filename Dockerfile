# Two stages: one builds the wheel and its environment, every byte from the lock files; the other has no tool to build with.
FROM python:3.11-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.lock && \
    python -m venv --without-pip /naru && \
    pip --python /naru/bin/python install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY . .
RUN python -m hatchling build -t wheel -d /wheel && \
    pip --python /naru/bin/python install --no-cache-dir --disable-pip-version-check --no-deps /wheel/*.whl

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Naru" \
      org.opencontainers.image.description="Omnichannel contact-center routing engine" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
# The uid is fixed: volumes and Kubernetes name it. /data and /spool are all that it may write.
RUN pip uninstall -y --root-user-action=ignore pip setuptools wheel && \
    groupadd --gid 10001 naru && \
    useradd --uid 10001 --gid naru --no-create-home --home-dir /data --shell /usr/sbin/nologin naru && \
    install -d -m 700 -o naru -g naru /data /data/files /spool
# As process 1, Python would not hear a SIGTERM that comes before it has asked for it; tini does, and passes it on.
COPY --from=build /usr/bin/tini /usr/bin/tini
COPY --from=build /naru /naru
ENV PATH=/naru/bin:$PATH NARU_DATA=/data NARU_HOST=0.0.0.0 NARU_LOG_FORMAT=json PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8620
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('NARU_PORT', '8620') + '/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--"]
CMD ["naru", "serve"]
