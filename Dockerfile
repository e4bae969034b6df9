# mocovit-deploy with all formats. What a container gives beside `make setup` is the machine: Python 3.11 and make.
#
#   docker build -t mocovit-deploy .
#   docker run --rm -v "$PWD:/work" mocovit-deploy mocovit-export --format tflite --output-dir out
#
# The default torch for Linux brings several GB of CUDA libraries; an index with CPU builds avoids them:
#
#   docker build --build-arg PIP_EXTRA_INDEX_URL=URL -t mocovit-deploy .
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates make python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/mocovit-deploy
COPY . .
ARG PIP_EXTRA_INDEX_URL
RUN make setup
ENV PATH=/opt/mocovit-deploy/.venv/bin:$PATH
WORKDIR /work
CMD ["mocovit-export", "--help"]
