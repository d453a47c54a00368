# docker build -f deploy/kubernetes/node-agent.Dockerfile -t cmp-node-agent:0.1.0 .
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY agent /usr/lib/python3/dist-packages/agent
ENTRYPOINT ["python3", "-m", "agent"]
