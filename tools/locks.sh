#!/bin/sh
# Resolve the dependencies into hashed lock files that name no package host. Review the diff before you commit it.
set -eu

compile() {
    uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url "$@"
}

compile pyproject.toml --extra test --output-file requirements-test.lock
compile pyproject.toml --constraint requirements-test.lock --output-file requirements.lock
printf '%s\n' 'hatchling==1.29.0' editables setuptools | compile - --output-file requirements-build.lock
