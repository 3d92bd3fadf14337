# Workers, query services and the command line: one image, three commands (see docker-compose.yml).
FROM python:3.13-slim
WORKDIR /miroir
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The pinned packages first: they change less often than the sources.
COPY requirements.txt pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY streams streams
COPY agents agents
COPY query query
COPY miroir miroir
COPY scripts scripts
RUN pip install --no-cache-dir --disable-pip-version-check -c requirements.txt -e . \
    && useradd --system --no-create-home miroir
USER miroir
EXPOSE 7700 7800
CMD ["miroir", "--help"]
