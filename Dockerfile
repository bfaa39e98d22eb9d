# Two stages: what is needed to install stays behind; what runs is not root.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
RUN apt-get update && apt-get install -y --no-install-recommends npm && rm -rf /var/lib/apt/lists/*
COPY requirements.lock package.json package-lock.json .npmrc ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
RUN npm ci --ignore-scripts --omit=dev

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /app till && mkdir -p /data && chown till /data
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app/node_modules node_modules
COPY wsgi.py ./
COPY app app
COPY migrations migrations
COPY templates templates
COPY static static
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 TILL_ENV=production TILL_DATA_DIR=/data HOST=0.0.0.0 PORT=8000
USER till
VOLUME /data
EXPOSE 8000
# Asks by a trusted name: any other Host is refused.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import json, os, urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8000/healthz', headers={'Host': json.loads(os.environ['TILL_TRUSTED_HOSTS'])[0].lstrip('.')}), timeout=2)"]
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "1", "--no-ws", "wsgi:app"]
