# The image of the Fargate tasks that read sources: `tieout extract SOURCE`. Lambda needs none: see `make bundle`.
# A tag, not a digest: which bytes it names must be looked up where the image is built. Pin it there (docs/aws.md, "Image").
FROM python:3.13-slim-bookworm AS build
COPY requirements/run.txt /build/requirements/run.txt
RUN python -m venv /opt/tieout \
 && /opt/tieout/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes -r /build/requirements/run.txt
COPY LICENSE README.md pyproject.toml /build/
COPY payments /build/payments
COPY formats /build/formats
COPY extractors /build/extractors
COPY curation /build/curation
COPY transfer /build/transfer
COPY reconciliation /build/reconciliation
COPY runtime /build/runtime
COPY dashboard /build/dashboard
COPY functions /build/functions
COPY local /build/local
COPY tieout /build/tieout
COPY cdk /build/cdk
# Setuptools, which builds our own package, is in the lock; nothing is fetched here.
RUN /opt/tieout/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index --no-build-isolation /build

FROM python:3.13-slim-bookworm
COPY --from=build /opt/tieout /opt/tieout
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tieout \
 && install -d -m 0700 -o 10001 /scratch
# The root file system may be read-only: what is spooled lies in /scratch, a volume of the task.
ENV PATH=/opt/tieout/bin:$PATH TMPDIR=/scratch PYTHONUNBUFFERED=1
VOLUME /scratch
USER 10001
WORKDIR /scratch
ENTRYPOINT ["tieout"]
