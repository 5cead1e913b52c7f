# Two stages: build the wheel and its locked dependencies, then a small image that runs as nobody in particular.
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /naru && /naru/bin/pip install --no-cache-dir uv
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN /naru/bin/uv pip install --python /naru/bin/python --no-cache --require-hashes -r requirements.lock
COPY src src
COPY migrations migrations
RUN /naru/bin/uv pip install --python /naru/bin/python --no-cache --no-deps . && /naru/bin/uv pip uninstall --python /naru/bin/python uv

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home /data naru && mkdir -m 700 /data && chown naru /data
COPY --from=build /naru /naru
ENV PATH=/naru/bin:$PATH NARU_DATA=/data NARU_HOST=0.0.0.0 NARU_LOG_FORMAT=json
USER naru
VOLUME /data
EXPOSE 8620
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8620/readyz')"]
STOPSIGNAL SIGTERM
CMD ["naru", "serve"]
