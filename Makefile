# Each target makes .venv when it is missing; nothing but Python (3.10 to 3.12) and make is needed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
EXTRAS := dev,docs,pretrained,web,export,index,milvus,serve,excel,heic,open_clip
# the versions that the tests ran with are those of one Python
CONSTRAINTS = $(shell $(PYTHON) -c "import sys; print('--constraint constraints.txt' if sys.version_info[:2] == (3, 11) else '')")

.PHONY: demo web serve docs test lint package release bench format install constraints licences clean

install: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v <= (3, 12) else f'Python 3.10 to 3.12 is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.11')"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --upgrade --quiet pip
	# compat: a script beside a clone named mvlt would import the clone's folder otherwise
	$(BIN)/pip install --config-settings editable_mode=compat $(CONSTRAINTS) --editable '.[$(EXTRAS)]'
	touch $@

# new versions of all packages within the ranges of setup.cfg; run the tests before you keep them
constraints:
	rm -rf work_dirs/constraints && python3.11 -m venv work_dirs/constraints
	work_dirs/constraints/bin/pip install --quiet '.[$(EXTRAS)]'
	{ echo '# written by make constraints: the versions that the tests ran with, Python 3.11'; \
	  work_dirs/constraints/bin/pip freeze | grep '=='; } > constraints.txt

# licence of each installed package
licences: $(STAMP)
	$(BIN)/python -m tools.licences

demo: $(STAMP)
	$(BIN)/python tools/demo.py

# of one's own: make web MODEL="my_model my_recognition" CATALOGUE=my/products.csv PORT=7860
web: $(STAMP) $(if $(MODEL)$(CATALOGUE),,demo)
	@if [ -e '$(MODEL)' ]; then set -- '$(MODEL)'; else set -- $(MODEL); fi; \
	exec $(BIN)/python -m projects.web_demo.app --port $(or $(PORT),7860) $${1:+--model "$$@"} $(if $(CATALOGUE),--catalogue '$(CATALOGUE)')

# search behind HTTP, on the page's index: make serve MODEL=my_model CATALOGUE=my/products.csv PORT=8000
serve: $(STAMP)
	@test -n "$(MODEL)" -a -n "$(CATALOGUE)" || { echo 'make serve MODEL=my_model CATALOGUE=my/products.csv'; exit 2; }
	$(BIN)/python -m projects.search_service.app --update --model '$(MODEL)' --catalogue '$(CATALOGUE)' $(if $(INDEX),--index '$(INDEX)') --port $(or $(PORT),8000)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell

# the site, in work_dirs/site; a broken link is an error
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

package: $(STAMP)
	$(BIN)/python -m tests.try_package

# a trained model as a release file: make release CHECKPOINT=W/iter_5600.pth RESULTS='A/results.json B/results.json'
RELEASE ?= mvlt-shop
RELEASES = work_dirs/release
release: $(STAMP)
	@test -f '$(CHECKPOINT)' || { echo "make release CHECKPOINT=W/iter_5600.pth RESULTS='A/results.json ...'"; exit 2; }
	@case '$(RELEASE)' in ''|.*|*/*) echo 'RELEASE: the name of a folder'; exit 2;; esac
	rm -rf '$(RELEASES)/$(RELEASE)'
	$(BIN)/python tools/model_converters/publish.py '$(CHECKPOINT)' '$(RELEASES)/$(RELEASE)' \
	  $(if $(RESULTS),--results $(RESULTS)) $(if $(LICENCE),--licence $(LICENCE)) $(if $(DATA),--data '$(DATA)') --limits \
	  'read other languages than that of its captions, or words that its tokenizer had no example of.' \
	  'promise as much on another catalogue: brands, cuts and photographs differ; measure with tools/test.py.'
	tar --sort=name --mtime='2000-01-01 UTC' --owner=0 --group=0 --numeric-owner -C '$(RELEASES)' -cf '$(RELEASES)/$(RELEASE).tar' '$(RELEASE)'
	gzip -nf '$(RELEASES)/$(RELEASE).tar'
	cd '$(RELEASES)' && sha256sum '$(RELEASE).tar.gz' | tee '$(RELEASE).tar.gz.sha256'

# a script to compare with, and a folder of JPEG files; without them there is nothing to compare
YARDSTICK ?= ../shared/benchmarks/naive_mvlt.py
IMAGES ?= ../shared/data/products/images

bench: $(STAMP)
	$(BIN)/python tools/benchmark_suite.py compare --against $(YARDSTICK) --images $(IMAGES)

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv work_dirs dist
