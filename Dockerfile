# Dockerfile: Pupil with a browser that finds an NVIDIA GPU. The driver itself comes from the host, by the NVIDIA Container
# Toolkit. How it is used: docs/full-runs.md.
#
#   docker build -t pupil .
#   docker run --rm --gpus '"device=0"' --shm-size=1g -v "$PWD":/pupil pupil doctor --expect-vendor nvidia
FROM node:20-bookworm-slim

# Chromium; the Vulkan loader, and what NVIDIA's Vulkan library links against (a screen is not needed, its libraries are);
# bubblewrap for --gpus with several cards in one container, Xvfb for the last way to a GPU; tini as process 1.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      chromium libvulkan1 libx11-6 libxcb1 libxext6 libegl1 \
      bubblewrap xvfb fonts-dejavu-core ca-certificates tini \
 && rm -rf /var/lib/apt/lists/*

# `graphics` brings the Vulkan driver into the container; CUDA's own default, compute and utility, does not.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility \
    PUPIL_BROWSER=/usr/bin/chromium

WORKDIR /opt/pupil
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
# Built here, once: at run time nothing below /opt/pupil is written.
RUN node -e "import('./scripts/build.mjs').then(({ buildIfStale }) => ['cli', 'page'].forEach(buildIfStale))"

# Runs, caches and downloads go to the mounted folder. Any user may run it: --user "$(id -u):$(id -g)".
ENV HOME=/tmp \
    PUPIL_CACHE=/pupil/.pupil-cache
RUN mkdir /pupil && chmod 1777 /pupil
WORKDIR /pupil
USER node
# -s: where another process is number 1 (docker run --init, Apptainer), it still takes in the browser's orphans.
ENTRYPOINT ["tini", "-s", "--", "node", "/opt/pupil/scripts/pupil.mjs"]
CMD ["doctor"]
