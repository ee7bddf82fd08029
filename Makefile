# The habits of the house; CMake does the work (CMakePresets.json, build folders under build/).
PRESET ?= release
JOBS   ?= $(shell nproc)
PREFIX ?= /usr/local
SECS   ?= 60

.PHONY: build demo test check-peers bench-peers bench-seeds layers bless asan tsan debug fuzz fmt install deb clean help deps-test

define compile
	@scripts/build.sh $(1) $(JOBS)
endef
# The last lines are ctest's summary. ARGS goes to ctest: make test ARGS='-R unit'.
define suite
	@scripts/suite.sh $(1) $(JOBS) $(2)
endef

build:  ## build the libraries and the command into build/release (installs missing Debian packages)
	@scripts/deps.sh build
	$(call compile,$(PRESET))

demo:  ## build, then a tour on small trained models
	@scripts/deps.sh build
	$(call compile,release)
	@./build/release/lathe demo

test: deps-test  ## build and run the whole suite
	$(call compile,$(PRESET))
	$(call suite,$(PRESET),$(ARGS))

asan: deps-test  ## the whole suite under AddressSanitizer and UBSan
	$(call compile,asan)
	$(call suite,asan,$(ARGS))

tsan: deps-test  ## the threading tests under ThreadSanitizer
	$(call compile,tsan)
	$(call suite,tsan,-L threads $(ARGS))

debug: deps-test  ## build without optimization, with assertions, into build/debug
	$(call compile,debug)

check-peers: deps-test  ## compare with ONNX Runtime and ONNX's reference (pinned PyPI packages in a virtual environment)
	@scripts/deps.sh peers
	$(call compile,release)
	@scripts/peers.sh

bench-peers:  ## Lathe and the pinned ONNX Runtime and OpenVINO in turn: make bench-peers ARGS=--quick (../shared/models or LATHE_MODELS)
	@scripts/deps.sh build peers
	$(call compile,release)
	@bench/peers/run.sh $(ARGS)

bench-seeds:  ## the experiments that TensorRT is told by, figure, bar, result: make bench-seeds ARGS='--only X01,X02 --quick'
	@scripts/deps.sh build peers
	$(call compile,release)
	@bench/seeds/run.sh $(ARGS)

layers: deps-test  ## check folders, includes, globals and the link tests (docs/layers.txt)
	$(call compile,$(PRESET))
	$(call suite,$(PRESET),-L house)

bless: deps-test  ## rewrite the expectations of golden pages; review reads the diff
	$(call compile,$(PRESET))
	@LATHE_BLESS=1 ctest --test-dir build/$(PRESET) --output-on-failure -j $(JOBS) -L bless

fuzz: deps-test  ## fuzz one target, or each in turn: make fuzz F=onnx SECS=60, F=all; WITH=asan: blindly, in the sanitizer build
	@[ "$(WITH)" = asan ] || scripts/deps.sh fuzz
	@scripts/fuzz.sh "$(F)" $(SECS) $(JOBS) $(WITH)

fmt:  ## format all C files
	@scripts/deps.sh fmt
	@git ls-files '*.c' '*.h' | xargs -r clang-format -i

install: build  ## install into PREFIX (default /usr/local)
	@cmake --install build/$(PRESET) --prefix $(PREFIX)

deb: build  ## make build/lathe_VERSION_ARCH.deb
	@scripts/deps.sh deb
	@cd build && cpack -G DEB --config $(PRESET)/CPackConfig.cmake

clean:  ## remove build/
	@rm -rf build

deps-test:
	@scripts/deps.sh build test

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
