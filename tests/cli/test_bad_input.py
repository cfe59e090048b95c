"""Whatever is wrong is said in one line, of a sweep in one for each thing, with exit code 2; nothing is written."""

from __future__ import annotations

import pickle
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mlpexp.cli.main import COMMANDS, call
from mlpexp.config.locate import groups, options
from mlpexp.config.schema import SETTINGS
from mlpexp.errors import ConfigError
from mlpexp.run.directory import RunDirectory

MOST = 2**53  # the largest whole number that a config may hold
COUNT = "must be at least 1."
KEYS = f"Choose from: {', '.join(sorted({*groups(), *SETTINGS}))}."
LISTED = ", ".join(sorted({*groups(), *SETTINGS, "keys"}))
SEVERAL = "several values are a sweep; add -m, or write [a,b] for a list"
RUN_KEYS = f"Choose from: {', '.join(sorted({*groups(), *SETTINGS} - {'experiment'}))}."
READ = "cannot be read; an override is key=value, such as optimizer.lr=0.01 or model.hidden=[8,8]."
QUOTED = f"{READ} A text with such characters needs quotes:"
OWN = "A component of your own needs plugins=[MODULE], the module that registers it."
TWO_ROWS = "the network's batch normalisation needs at least 2 rows in a batch."
PLAN = "shows the plan of a run or a sweep; leave out what else is to be shown."
PARTS = "Choose from: activation, …"
RESUME = "Choose from: data_dir, device, epochs, plugins."


def choose(group: str) -> str:
    return f"Choose from: {', '.join(option.name for option in options(group))}."


def one_of(group: str) -> str:
    return f"{', '.join(option.name for option in options(group))}."


COMMAND = {
    "trian": f"trian: no such command; did you mean 'train'? Choose from: {', '.join(sorted(COMMANDS))}.",
    "epochs=3": f"epochs=3: no such command. Choose from: {', '.join(sorted(COMMANDS))}. "
    "Did you mean: mlpexp train epochs=3",
    "list activations": f"activations: no such group or key; did you mean 'activation'? Choose from: {LISTED}.",
    "list nope": f"nope: no such group or key. Choose from: {LISTED}.",
    "list lo": f"lo: no such group or key; did you mean 'log'? Choose from: {LISTED}.",
    "list log.histogram": "log.histogram: no such group or key; did you mean 'log.histograms'? Choose from: "
    "log.confusion_every, log.diagnostics, log.figures, log.histograms, log.tensorboard.",
    "list optimiser adam": f"optimiser: no such group; did you mean 'optimizer'? Choose from: {', '.join(groups())}.",
    "list optimizer adan": f"optimizer=adan: no such option; did you mean 'adam'? {choose('optimizer')}",
    "list optimizer nag": f"optimizer=nag: no such option; did you mean 'nesterov'? {choose('optimizer')}",
    "list regularizer drop": f"regularizer=drop: no such option; did you mean 'dropout'? {choose('regularizer')}",
    "list experiment xo": f"experiment=xo: no such option; did you mean 'xor'? {choose('experiment')}",
    "list optimizer=adam": "optimizer=adam: write mlpexp list optimizer adam.",
    "list optimizer adam lr=1": "lr=1: cannot be changed here. Choose from: plugins.",
    "list plugins=[nope]": "plugins=[nope]: has no effect without a NAME; leave it out.",
    "list activation relu plugins=[nope]": "plugins=[nope]: cannot be imported: No module named 'nope'.",
    "list --config-dir nope": "--config-dir=nope: there is no such directory.",
    "list a b c": "list: unrecognized arguments: c; see mlpexp list --help.",
    "dashboard nope": "nope: there is no such directory; `mlpexp train` makes outputs/ in the current one.",
    "dashboard --port x": "dashboard: argument --port: invalid int value: 'x'; see mlpexp dashboard --help.",
    "resume": "resume: the following arguments are required: RUN; see mlpexp resume --help.",
    "eval": "eval: the following arguments are required: RUN; see mlpexp eval --help.",
    "resume nope": "nope: there is no such run directory.",
    "eval nope": "nope: there is no such run directory.",
    "resume . ": ".: is no run directory: it has no run.json.",
    "resume . seed=1": f"seed=1: cannot be changed here. {RESUME}",
    "resume . epoch=3": f"epoch=3: cannot be changed here; did you mean 'epochs'? {RESUME}",
    "resume . epochs": "epochs: must be key=value, with key one of: epochs, device, data_dir, plugins.",
    "resume . epochs=1,2": "epochs=1,2: must be one value.",
    "resume . epochs=[": f"""epochs=[: {QUOTED} 'epochs="["'.""",
    "eval . epochs=3": "epochs=3: cannot be changed here. Choose from: data_dir, device, plugins.",
}

FLAGS = {
    "--foo": "train: unrecognized arguments: --foo; see mlpexp train --help.",
    "--config-dir nope": "--config-dir=nope: there is no such directory.",
    "--config-name nope": "--config-name=nope: no such config. Choose from: config.",
    "--config-name conifg": "--config-name=conifg: no such config; did you mean 'config'? Choose from: config.",
    "--config-path x": "--config-path=x: would hide mlpexp's configs; use --config-dir.",
    "--cfg nope": "train: argument --cfg/-c: invalid choice: 'nope'…",
    "--cfg job --info": "train: only one of --run, --multirun, --cfg and --info can be given.",
    "--resolve": "train: --resolve goes with --cfg.",
    "--cfg job --dry-run": f"train: --dry-run {PLAN}",
    "--info all --dry-run": f"train: --dry-run {PLAN}",
    "-sc install=bash --dry-run": f"train: --dry-run {PLAN}",
    "-sc install=bash --config-dir nope": "--config-dir=nope: there is no such directory.",
    "--help --config-dir nope": "--config-dir=nope: there is no such directory.",
    "--package optimizer": "train: --package=optimizer goes with --cfg.",
    "--cfg job --package optimzer": "--package=optimzer: no such part of the config; "
    f"did you mean 'optimizer'? {PARTS}",
    "--cfg job --package epochs": f"--package=epochs: no such part of the config. {PARTS}",
    "--cfg job --package hydra": f"--package=hydra: no such part of the config. {PARTS}",
}

OPTIONS = {
    "activation=geluu": f"activation=geluu: no such option; did you mean 'gelu'? {choose('activation')}",
    "dataset=minst": f"dataset=minst: no such option; did you mean 'mnist'? {choose('dataset')}",
    "device=gpu": f"device=gpu: no such option; did you mean 'cuda'? {choose('device')}",
    "experiment=nope": f"experiment=nope: no such option…{choose('experiment')}",
    "init=xavier": f"init=xavier: no such option; did you mean 'xavier_uniform'? {choose('init')}",
    "loss=mes": f"loss=mes: no such option; did you mean 'mse'? {choose('loss')}",
    "model=mpl": f"model=mpl: no such option; did you mean 'mlp'? {choose('model')}",
    "optimizer=adm": f"optimizer=adm: no such option; did you mean 'adam'? {choose('optimizer')}",
    "regularizer=[drop]": f"regularizer=drop: no such option; did you mean 'dropout'? {choose('regularizer')}",
    "regularizer=[l2,drop]": f"regularizer=drop: no such option; did you mean 'dropout'? {choose('regularizer')}",
    "scheduler=cosin": f"scheduler=cosin: no such option; did you mean 'cosine'? {choose('scheduler')}",
    "hydra/job_logging=stdou": "hydra/job_logging=stdou: no such option; did you mean 'stdout'? Choose from: …",
    "hydra/launcher=basic": "hydra/launcher=basic: is for sweeps; add -m.",
    "activation=null": f"activation=null: must name an option. {choose('activation')}",
    "activation=": f"activation=: no such option. {choose('activation')}",
    "activation=3": f"activation=3: must name an option. {choose('activation')}",
    "optimizer=[adam,sgd]": f"optimizer=[adam,sgd]: must name one optimizer: {one_of('optimizer')}",
    "optimizer=[]": f"optimizer=[]: must name one optimizer: {one_of('optimizer')}",
    "regularizer=null": "regularizer=null: must be a list of names, such as [l2], or [] for none. "
    f"{choose('regularizer')}",
    "~optimizer": f"~optimizer: a run needs one optimizer; choose another: {one_of('optimizer')}",
    "~optimizer=sgd": f"~optimizer=sgd: a run needs one optimizer; choose another: {one_of('optimizer')}",
    "~regularizer": "~regularizer: write regularizer=[] to use none.",
    "+optimizer=adam": "+optimizer=adam: optimizer is in the config already; leave out the + to choose another.",
    "++optimizer=adam": "++optimizer=adam: an option of a group is chosen without ++.",
    "+experiment=mnist": "+experiment=mnist: experiment is in the config already; leave out the + to choose another.",
    "optimizer=adam,sgd": f"""optimizer=adam,sgd: {SEVERAL}, or 'optimizer="adam,sgd"' for a text.""",
    "optimizer.name=sgd": "optimizer.name=sgd: write optimizer=sgd, which brings the settings of sgd too.",
    "optimizer.name=os.system": f"optimizer.name=os.system: no such optimizer. {choose('optimizer')} {OWN}",
}

KEYS_THAT_ARE_NONE = {
    "optimiser=adam": f"optimiser=adam: no such key; did you mean 'optimizer'? {KEYS}",
    "epoch=3": f"epoch=3: no such key; did you mean 'epochs'? {KEYS}",
    "foo=3": f"foo=3: no such key. {KEYS}",
    "+foo=3": f"foo=3: no such key. {RUN_KEYS}",
    "++x=1": f"x=1: no such key. {RUN_KEYS}",
    "~nope": f"~nope: no such key. {KEYS}",
    "lr=0.1": "lr=0.1: no such key; did you mean 'optimizer.lr=0.1'?",
    "hidden=[8]": "hidden=[8]: no such key; did you mean 'model.hidden=[8]'?",
    "optimizer.learning=3": "optimizer.learning=3: no such key. Choose from: amsgrad, betas, eps, lr, weight_decay.",
    "+optimizer.foo=3": "optimizer.foo=3: no such key. Choose from: amsgrad, betas, eps, lr, weight_decay.",
    "~optimizer.lrr": "~optimizer.lrr: no such key; did you mean 'lr'? "
    "Choose from: amsgrad, betas, eps, lr, weight_decay.",
    "optimizer.lr.x=3": "optimizer.lr.x=3: optimizer.lr holds no keys.",
    "optimizer=sgd optimizer.amsgrad=true": "optimizer.amsgrad=true: optimizer=sgd has no such key; "
    "optimizer=adam or optimizer=adamw has.",
    "model.hiden=[8]": "model.hiden=[8]: no such key; did you mean 'hidden'? Choose from: hidden.",
    "log.figure=false": "log.figure=false: no such key; did you mean 'figures'? "
    "Choose from: confusion_every, diagnostics, figures, histograms, tensorboard.",
    "activation._target_=os.system": "activation._target_=os.system: no such key; activation has no settings.",
    "+activation._target_=os.system": "activation._target_=os.system: no such key; activation has no settings.",
    "device.threads=1": "device.threads=1: device=auto has no such key; device=cpu has.",
    "regularizer.dropout.p=0.3": "regularizer.dropout.p=0.3: dropout is not in use; add regularizer=[dropout].",
    "regularizer=[l2] regularizer.dropout.p=0.3": "regularizer.dropout.p=0.3: dropout is not in use; "
    "add regularizer=[l2,dropout].",
    "+regularizer.dropout.p=0.3": "regularizer.dropout: is not in use; add regularizer=[dropout].",
    "regularizer.drpout.p=0": "regularizer.drpout.p=0: no such regularizer; did you mean 'dropout'? "
    f"{choose('regularizer')}",
    "regularizer=[dropout] regularizer.dropout.q=1": "regularizer.dropout.q=1: no such key. Choose from: p.",
    "regularizer=dropout regularizer.dropout.q=1": "regularizer.dropout.q=1: no such key. Choose from: p.",
    "experiment=mnist regularizer.dropout.q=1": "regularizer.dropout.q=1: no such key. Choose from: p.",
    "hydra.foo=1": "hydra.foo=1: no such key. Choose from: callbacks, …",
    "hydra.run.dirr=a": "hydra.run.dirr=a: no such key; did you mean 'dir'? Choose from: dir.",
    "hydra/launchr=basic": "hydra/launchr=basic: no such group; did you mean 'hydra/launcher'? Choose from: …",
    "foo/bar=1": f"foo/bar=1: no such key. {KEYS}",
    "optimizer@foo=adam": f"optimizer@foo=adam: no such key; did you mean 'optimizer'? {KEYS}",
    "+foo@bar=adam": f"+foo@bar=adam: no such group. Choose from: {', '.join(groups())}.",
    "+epochs=3": "+epochs=3: epochs has a value already; leave out the + to give it another.",
    "~epochs": "~epochs: a run needs this key; give it another value, epochs=VALUE.",
    "~optimizer.lr": "optimizer.lr: is required; give it a value, optimizer.lr=VALUE.",
    "dataset={noise:1}": "dataset={noise:1}: dataset=digits has no such key; "
    "dataset=moons or dataset=circles or dataset=spirals or dataset=sine has.",
    "log={figure:false}": "log={figure:false}: no such key; did you mean 'figures'? "
    "Choose from: confusion_every, diagnostics, figures, histograms, tensorboard.",
    "~clip.norm=3": "~clip.norm=3: clip.norm is null.",
}

VALUES = {
    "optimizer.lr=fast": "optimizer.lr=fast: must be a number.",
    "optimizer.lr=": "optimizer.lr=: must be a number.",
    "optimizer.lr=null": "optimizer.lr=null: must be a number.",
    "optimizer.lr=0": "optimizer.lr=0: must be greater than 0.",
    "optimizer.lr=-1e-3": "optimizer.lr=-0.001: must be greater than 0.",
    "optimizer.lr=nan": "optimizer.lr=nan: must be a finite number greater than 0.",
    "optimizer.lr=inf": "optimizer.lr=inf: must be a finite number greater than 0.",
    "optimizer.lr=1e39": "optimizer.lr=1e+39: must be between -3.4e38 and 3.4e38, what 32 bits hold.",
    "optimizer.betas=0.9": "optimizer.betas=0.9: must be a list, such as [0.9,0.99].",
    "optimizer.betas=[0.9]": "optimizer.betas=[0.9]: must be a list of two numbers, such as [0.9,0.999].",
    "optimizer.betas=[0.9,1]": "optimizer.betas[1]=1: must be at least 0 and less than 1.",
    "optimizer=lbfgs optimizer.history_size=9999": "optimizer.history_size=9999: must be at least 1 and at most 1000.",
    "optimizer=lbfgs clip.norm=1": "clip.norm=1: optimizer=lbfgs searches along the gradient, which must be that of "
    "the loss; leave out clip.norm, or choose another optimizer.",
    "clip.value=0.5 optimizer=lbfgs": "clip.value=0.5: optimizer=lbfgs searches along the gradient, which must be that "
    "of the loss; leave out clip.value, or choose another optimizer.",
    "epochs=ten": "epochs=ten: must be a whole number.",
    "epochs=1.5": "epochs=1.5: must be a whole number.",
    "epochs=true": "epochs=true: must be a whole number.",
    "\"epochs='3'\"": "epochs=3: must be a whole number.",
    "epochs=null": "epochs=null: must be a whole number.",
    "epochs=[3]": "epochs=[3]: must be a whole number.",
    "epochs={a:[1,null]}": "epochs={a:[1,null]}: must be a whole number.",
    "epochs=0": f"epochs=0: {COUNT}",
    "epochs=-1": f"epochs=-1: {COUNT}",
    "batch_size=0": f"batch_size=0: {COUNT}",
    "batch_size=1e30": f"batch_size=1e+30: must be at least 1 and at most {MOST}.",
    "seed=-1": "seed=-1: must be at least 0.",
    "seed=99999999999999999999": f"seed=99999999999999999999: must be at least 0 and at most {MOST}.",
    "precision=fp16": "precision=fp16: not allowed; did you mean 'bf16'? Choose from: bf16, fp32.",
    "compile=yes": "compile=yes: must be true or false.",
    "compile=1": "compile=1: must be true or false.",
    "log=false": "log=false: must hold keys of its own: "
    "tensorboard, figures, confusion_every, histograms, diagnostics.",
    "clip=1": "clip=1: must hold keys of its own: norm, value.",
    "clip.norm=0": "clip.norm=0: must be greater than 0.",
    "checkpoint.every_seconds=-1": "checkpoint.every_seconds=-1: must be at least 0.",
    "data_dir=[a]": "data_dir=[a]: must be a text.",
    "model.hidden=8": "model.hidden=8: must be a list, such as [8,8].",
    "model.hidden=null": "model.hidden=null: must be a list, such as [8,8].",
    "model.hidden=[0]": "model.hidden[0]=0: must be at least 1 and at most 1000000.",
    "model.hidden=[8,-1]": "model.hidden[1]=-1: must be at least 1 and at most 1000000.",
    "model.hidden=[1e9]": "model.hidden[0]=1000000000.0: must be at least 1 and at most 1000000.",
    "model.hidden=[a]": "model.hidden[0]=a: must be a whole number.",
    "model.hidden=[[8]]": "model.hidden[0]=[8]: must be a whole number.",
    "model.hidden=[1000000,1000000]": "model.hidden=[1000000,1000000]: makes 1,000,076,000,010 parameters; "
    "training them takes 29806 GiB, and the device has …",
    "regularizer=[dropout] regularizer.dropout.p=1": "regularizer.dropout.p=1: must be at least 0 and less than 1.",
    "regularizer=[l2] regularizer.l2=3": f"regularizer.l2=3: must name one regularizer: {one_of('regularizer')}",
    "device=cpu device.threads=0": "device.threads=0: must be at least 1 and at most 1024.",
    "epochs=4 scheduler=step scheduler.warmup=4": "scheduler.warmup=4.0: must be less than epochs=4, "
    "or the rate is never reached.",
    "scheduler=cosine scheduler.min_lr=0.5 optimizer.lr=0.1": "scheduler.min_lr=0.5: must be at most optimizer.lr=0.1, "
    "from which the rate falls.",
    "scheduler=onecycle scheduler.div_factor=0.5": "scheduler.div_factor=0.5: must be at least 1.",
    "dataset.val_fraction=1": "dataset.val_fraction=1: must be greater than 0 and less than 1.",
    "dataset.recommended.epochs=0": f"dataset.recommended.epochs=0: {COUNT}",
}

GRAMMAR = {
    "=3": f"=3: {READ}",
    "''": f"'': {READ}",
    "~": f"~: {READ}",
    "optimizer": f"optimizer: {READ}",
    "'x=[1,'": f"""x=[1,: {QUOTED} 'x="[1,"'.""",
    "'epochs=foo(1)'": f"""epochs=foo(1): {QUOTED} 'epochs="foo(1)"'.""",
    "epochs..x=1": f"""epochs..x=1: {READ}""",
    "'seed=${'": f"""seed=${{: {QUOTED} 'seed="${{"'.""",
    "'x=" + "[" * 1000 + "'": f"x={'[' * 75}...: {READ}",
    "epochs=1,2": f"""epochs=1,2: {SEVERAL}, or 'epochs="1,2"' for a text.""",
    "'epochs=choice(1,2)'": "epochs=choice(1,2): several values are a sweep; add -m, or write [a,b] for a list.",
    "'epochs=range(1,3)'": "epochs=range(1,3): several values are a sweep; add -m, or write [a,b] for a list.",
    "'epochs=${foo}'": "epochs=${foo}: there is no key 'foo'.",
    "'optimizer.betas=[0.9,${foo}]'": "optimizer.betas[1]=${foo}: there is no key 'foo'.",
    "'seed=${oc.env:NOPE}'": "seed=${oc.env:NOPE}: the environment variable 'NOPE' is not set.",
    "'seed=${foo:1}'": "seed=${foo:1}: there is no resolver 'foo'.",
    "'seed=${seed}'": "seed=${seed}: refers to itself.",
    "'seed=${optimizer.betas}'": "seed=[0.9,0.999]: must be a whole number.",
    "'seed=${a b}'": "seed=${a b}: token recognition error at: ' b'.",
    "hydra.mode=foo": "hydra.mode=foo: must be one of: RUN, MULTIRUN.",
    "hydra.run.dir=null": "hydra.run.dir=null: must not be null.",
    "'hydra.run.dir=???'": "hydra.run.dir=???: is required.",
    "hydra.run.dir=": "hydra.run.dir=: must name a directory.",
    "'hydra.run.dir=${foo}'": "hydra.run.dir=${foo}: there is no key 'foo'.",
    "hydra.run.dir=/dev/null": "hydra.run.dir=/dev/null: cannot be made: a file has that name.",
    "hydra.run.dir=/dev/null/x": "hydra.run.dir=/dev/null/x: cannot be made: Not a directory.",
    "hydra.searchpath=[nope]": "hydra.searchpath=[nope]: there is no config directory nope.",
    "hydra.searchpath=nope": "hydra.searchpath=nope: must be a list of directories, such as [file:///home/me/conf].",
    "hydra.job.env_copy=[NOPE]": "hydra.job.env_copy=[NOPE]: the environment variable 'NOPE' is not set.",
}

DATA = {
    "device=cuda": "device=cuda: this machine has no such device. Choose from: auto, …cpu.",
    "loss=mse": "loss=mse: is for regression, and the dataset is a classification task. "
    "Choose from: auto, cross_entropy, bce.",
    "dataset=sine loss=cross_entropy": "loss=cross_entropy: is for classification, and the dataset is a regression "
    "task. Choose from: auto, mse, mae, huber.",
    "dataset=sine regularizer=[label_smoothing]": "regularizer=label_smoothing: is for classification, and the "
    "dataset is a regression task.",
    "dataset=csv": "dataset.path: is required; give it a value, dataset.path=VALUE.",
    "dataset=csv dataset.path=5": "dataset.path=5: no such file in …",
    "dataset=csv dataset.path=nope.csv": "dataset.path=nope.csv: no such file in …",
    "dataset=csv dataset.path=.": "dataset.path=.: is a directory; a CSV file is needed.",
    "dataset=csv dataset.path=/dev/null": "dataset.path=/dev/null: is not a regular file.",
    "dataset=mnist": "dataset=mnist: 4 of its 4 files are not in data/MNIST/raw (such as train-images-idx3-ubyte), "
    "and the download failed: no route to host. Set data_dir, or MLPEXP_DATA_DIR, …",
    "dataset=mnist data_dir=/dev/null": "dataset=mnist: …",
    "dataset=moons batch_size=1 regularizer=[batchnorm]": f"batch_size=1: {TWO_ROWS}",
    "--dry-run dataset=moons batch_size=1 regularizer=[l2,batchnorm]": f"batch_size=1: {TWO_ROWS}",
    "plugins=5": "plugins=5: must be a list of modules, such as [my_module].",
    "plugins=nope": "plugins=nope: must be a list of modules, such as [my_module].",
    "plugins=null": "plugins=null: must be a list, such as [a,b].",
    "plugins=[nope]": "plugins=[nope]: cannot be imported: No module named 'nope'.",
    "plugins=[..nope]": "plugins=[..nope]: cannot be imported: TypeError: …",
}

SWEEPS = {
    "epochs=1,0": f"epochs=0: {COUNT} (job 1)",
    "'epochs=range(0,3)'": f"epochs=0: {COUNT} (job 0)",
    "seed=0,1,x": "seed=x: must be a whole number. (job 2)",
    "foo=1,2": f"foo=1: no such key. {KEYS}",
    "optimizer=adam,adm": f"optimizer=adm: no such option; did you mean 'adam'? {choose('optimizer')} (job 1)",
    "optimizer=adam,sgd optimizer.amsgrad=true": "optimizer.amsgrad=true: optimizer=sgd has no such key; "
    "optimizer=adam or optimizer=adamw has. (job 1)",
    "'regularizer=[l2],[drop]'": f"regularizer=drop: no such option; did you mean 'dropout'? "
    f"{choose('regularizer')} (job 1)",
    "device=cpu,cuda": "device=cuda: this machine has no such device. Choose from: auto, …cpu. (job 1)",
    "loss=auto,mae": "loss=mae: is for regression, and the dataset is a classification task. "
    "Choose from: auto, cross_entropy, bce. (job 1)",
    "'optimizer.lr=interval(0,1)'": "optimizer.lr=interval(0,1): must list its values, such as choice(1,2); "
    "or choose another hydra/sweeper.",
    "hydra.sweep.dir=/dev/null/x": "hydra.sweep.dir=/dev/null/x: cannot be made: Not a directory.",
    "hydra/launcher=foo": "hydra/launcher=foo: no such option…",
    "'hydra.sweep.dir=${oc.env:NOPE}'": "hydra.sweep.dir=${oc.env:NOPE}: the environment variable 'NOPE' is not set.",
    "'hydra.run.dir=${oc.env:NOPE}'": "hydra.run.dir=${oc.env:NOPE}: is for a single run; a sweep has hydra.sweep.dir.",
    "hydra.sweeper=null": "hydra/sweeper: a sweep needs one sweeper.",
    "hydra.launcher=null": "hydra/launcher: a sweep needs one launcher.",
    "hydra.sweeper._target_=os.getcwd": "hydra.sweeper._target_=os.getcwd: is no plugin of Hydra's; "
    "choose one by hydra/sweeper=NAME.",
    "hydra.launcher._target_=os.getcwd": "hydra.launcher._target_=os.getcwd: is no plugin of Hydra's; "
    "choose one by hydra/launcher=NAME.",
    "~hydra/launcher": "hydra/launcher: a sweep needs one launcher.",
    "~hydra/sweeper": "hydra/sweeper: a sweep needs one sweeper.",
    "dataset=moons regularizer=[batchnorm] batch_size=2,1": f"batch_size=1: {TWO_ROWS} (job 1)",
    # Of all jobs: their numbers say nothing.
    "epochs=0 seed=0,1": f"epochs=0: {COUNT}",
    # Neither is wrong with the first value of the other.
    "dataset=sine,xor loss=auto,mse": "loss=mse: is for regression, and the dataset is a classification task. "
    "Choose from: auto, cross_entropy, bce. (job 3)",
    "'seed=range(1000000)'": "the sweep has 1,000,000 jobs, and more than 100,000 are refused; give fewer values.",
    "'seed=range(2,2)'": "seed=range(2,2): lists no values.",
    "'activation=glob(x*)'": "activation=glob(x*): lists no values.",
    "+hydra.sweeper.params.epochs=\\'0,1\\'": f"epochs=0: {COUNT} (job 0)",
    "hydra.run.dir=a,b": "hydra.run.dir=a,b: is for a single run; a sweep has hydra.sweep.dir.",
}

LINES = [
    *COMMAND.items(),
    *(
        (f"train {line}", message)
        for table in (FLAGS, OPTIONS, KEYS_THAT_ARE_NONE, VALUES, GRAMMAR, DATA)
        for line, message in table.items()
    ),
    *((f"train -m {line}", message) for line, message in SWEEPS.items()),
]


@pytest.fixture(autouse=True)
def poor_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No card, no network, no data."""

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torchvision.datasets.MNIST.download", unreachable)
    monkeypatch.delenv("MLPEXP_DATA_DIR", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a wrong command line ends in."""
    capsys.readouterr()
    assert call(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    prefix, message = line.split(" ", 1)
    assert prefix == "mlpexp:"
    return message


def matches(message: str, expected: str) -> bool:
    """Whether a message is the expected one; … stands for what differs between machines."""
    head, dots, tail = expected.partition("…")
    return message.startswith(head) and message.endswith(tail) if dots else message == expected


@pytest.mark.parametrize(("line", "message"), LINES, ids=[line[:60] for line, _ in LINES])
def test_one_line_says_what_is_wrong(line: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(shlex.split(line), capsys)
    assert matches(said, message), said
    assert not list(here.iterdir())


def test_all_that_is_wrong_with_a_sweep_is_said_at_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swept = ["optimizer.lr=-1,0.1", "optimizer=adam,adm,sgd", "seed=x,0", "hydra.sweep.dir=sweep"]
    assert call(["train", "-m", "dataset=xor", *swept]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "mlpexp: seed=x: must be a whole number. (6 jobs: 0, 2, 4, 6, 8, …)",
        "mlpexp: optimizer.lr=-1: must be greater than 0. (jobs 0, 1, 4, 5)",
        f"mlpexp: optimizer=adm: no such option; did you mean 'adam'? {choose('optimizer')} (jobs 2, 3, 8, 9)",
    ]
    assert not list(here.iterdir())


def test_two_things_that_do_not_go_together_are_two_lines(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["scheduler=cosine", "optimizer.lr=0.1", "scheduler.min_lr=0.2", "epochs=3", "scheduler.warmup=7"]
    for command in (["train"], ["train", "-m", "seed=0,1"], ["lr-find"]):
        assert call([*command, *words]) == 2
        first, second = capsys.readouterr().err.splitlines()
        assert first.startswith("mlpexp: scheduler.warmup=7.0: must be less than epochs=3")
        assert second.startswith("mlpexp: scheduler.min_lr=0.2: must be at most optimizer.lr=0.1")
    assert not list(here.iterdir())


def test_a_key_that_is_none_does_not_hide_what_else_is_wrong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", "-m", "optimizer=sgd,adm", "lr=1"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "mlpexp: lr=1: no such key; did you mean 'optimizer.lr=1'?"
    assert second.startswith("mlpexp: optimizer=adm: no such option; did you mean 'adam'?")
    assert not list(here.iterdir())


BROKEN_TABLES = {
    "a,b\n": "has a header line and no rows.",
    "": "is empty.",
    "a,b\n1,2\n3\n": "line 3 has 1 value, and the header has 2.",
    "a,b\nx,0\n2,1\n": "line 2, column 'a': 'x' is no number.",
    "a,b\n1,0\n,1\n": "line 3, column 'a': the value is missing.",
    "\0": "is a binary file; a CSV file is needed.",
}


@pytest.mark.parametrize("content", BROKEN_TABLES)
def test_a_broken_table_is_named_with_its_line(content: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "my.csv").write_text(content)
    said = refused(["train", "dataset=csv", "dataset.path=my.csv"], capsys)
    assert said == f"dataset.path=my.csv: {BROKEN_TABLES[content]}"
    assert [path.name for path in here.iterdir()] == ["my.csv"]


BROKEN_OPTIONS = {
    b"name: nope\n": f"activation.name=nope: no such activation. {choose('activation')} {OWN}",
    b"name: [\n": "…",
    b"- relu\n": f"activation=[relu]: must name one activation: {one_of('activation')}",
    b"name: relu\nslope: 1\n": "activation.slope=1: no such key; activation has no settings.",
    b"\xff\xfe": "a config file is not UTF-8 text: invalid start byte at byte 0. (in: activation=mine)",
    b"name: ${nope}\n": "activation.name=${nope}: there is no key 'nope'.",
    b"": f"activation.name=null: must name one activation: {one_of('activation')}",
}


@pytest.mark.parametrize("content", BROKEN_OPTIONS)
def test_a_broken_option_of_ones_own(content: bytes, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "conf" / "activation").mkdir(parents=True)
    (here / "conf" / "activation" / "mine.yaml").write_bytes(content)
    said = refused(["train", "--config-dir", "conf", "activation=mine"], capsys)
    assert matches(said, BROKEN_OPTIONS[content]), said
    assert [path.name for path in here.iterdir()] == ["conf"]


def test_a_broken_file_is_named_with_its_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "conf" / "experiment").mkdir(parents=True)
    (here / "conf" / "experiment" / "mine.yaml").write_text("# @package _global_\nepochs: 3\nlog: [\n")
    said = refused(["train", "--config-dir", "conf", "experiment=mine"], capsys)
    assert said.startswith(f"{here}/conf/experiment/mine.yaml: line 4: ")


@pytest.mark.parametrize("error", ["1 / 0", "import nope", "raise ValueError('two\\nlines')", "def"])
def test_a_plugin_that_fails(error: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "failing_plugin.py").write_text(f"{error}\n")
    said = refused(["train", "plugins=[failing_plugin]"], capsys)
    assert said.startswith("plugins=[failing_plugin]: cannot be imported: ")
    assert not (here / "outputs").exists()


def test_the_full_error_is_there_for_those_who_ask(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ConfigError, match="no such option"):
        call(["train", "activation=geluu"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs that has completed."""
    path = tmp_path_factory.mktemp("finished") / "run"
    small = ["dataset=xor", "epochs=2", "log.figures=false", "log.tensorboard=false", "device=cpu"]
    assert call(["train", *small, f"hydra.run.dir={path}"]) == 0
    return path


@pytest.fixture
def run(finished: Path, here: Path) -> Path:
    """A copy of it as `run`, to damage."""
    shutil.copytree(finished, here / "run")
    return here / "run"


def contents(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def refuses(arguments: list[str], run: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends in which leaves the run as it is."""
    before = contents(run)
    said = refused(arguments, capsys)
    assert contents(run) == before
    return said


@pytest.mark.parametrize("command", ["resume", "eval"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": "happy"}, "is damaged: state=happy: not allowed. Choose from: …"),
        ({"seed": "x"}, "is damaged: seed=x: must be a whole number."),
        ({"config": None}, "is damaged: config=null: must be a mapping."),
        ({"metrics": []}, "is damaged: metrics=[]: must be a mapping."),
        ({"config.dataset": None}, f"dataset=null: must name one dataset: {one_of('dataset')}"),
        ({"config.epochs": "x"}, "epochs=x: must be a whole number."),
        ({"config.foo": 1}, f"foo=1: no such key. {RUN_KEYS}"),
        (
            {"config.activation": {"name": "relu", "_target_": "os.system"}},
            "activation._target_=os.system: no such key; activation has no settings.",
        ),
        (
            {"config.activation": {"name": "os.system"}},
            f"activation.name=os.system: no such activation. {choose('activation')} {OWN}",
        ),
    ],
    ids=str,
)
def test_a_wrong_record(
    command: str,
    changes: dict[str, Any],
    message: str,
    run: Path,
    edit: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def change(record: dict[str, Any]) -> None:
        for key, value in changes.items():
            section = record["config"] if key.startswith("config.") else record
            section[key.removeprefix("config.")] = value

    edit(run / "run.json", change)
    said = refuses([command, "run"], run, capsys)
    assert set(matches_any(said, message)) == {True}, said


def matches_any(said: str, message: str) -> list[bool]:
    path, rest = said.split(": ", 1)
    return [path == "run/run.json", matches(sorted_choices(rest), sorted_choices(message))]


def sorted_choices(message: str) -> str:
    """The message with its choices in order: those of a registry and of a folder stand in different ones."""
    head, found, choices = message.removesuffix(f" {OWN}").partition("Choose from: ")
    return f"{head}{found}{', '.join(sorted(choices.rstrip('.').split(', ')))}"


@pytest.mark.parametrize("command", ["resume", "eval"])
@pytest.mark.parametrize("content", [b"", b'{"state": "comp', b"[1]", b"[" * 100_000, b"\xff\xfe\0", b"{}"])
def test_a_damaged_record(command: str, content: bytes, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "run.json").write_bytes(content)
    assert refuses([command, "run"], run, capsys).startswith("run/run.json: is damaged: ")


@pytest.mark.parametrize("command", ["resume", "eval"])
def test_a_plugin_that_a_run_names_is_not_imported(
    command: str, run: Path, here: Path, edit: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "evil.py").write_text("raise SystemExit('imported')\n")
    edit(run / "run.json", lambda record: record["config"].update(plugins=["evil"]))
    assert refuses([command, "run"], run, capsys) == (
        "run: was made with plugins=[evil]; modules that a run directory names are not imported unasked: "
        "add plugins=[evil]."
    )


class Evil:
    """Unpickling it makes the file `evil` in the working directory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("evil"),)


BAD_CHECKPOINTS: dict[str, Any] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "text": lambda path: path.write_bytes(b"hello world"),
    "pickle": lambda path: path.write_bytes(pickle.dumps(Evil())),
    "code": lambda path: torch.save({"weights": Evil()}, path),
    "list": lambda path: torch.save([1], path),
    "keys": lambda path: torch.save({"weights": {}}, path),
    "directory": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("kind", BAD_CHECKPOINTS)
@pytest.mark.parametrize("command", ["resume", "eval"])
def test_a_bad_checkpoint_is_named_and_runs_no_code(
    command: str, kind: str, run: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = RunDirectory(Path("run"))
    path, other = (paths.last, paths.best) if command == "resume" else (paths.best, paths.last)
    BAD_CHECKPOINTS[kind](path)
    other.unlink()
    assert refuses([command, "run"], run, capsys).startswith(f"{path}: ")
    assert not (here / "evil").exists()


def test_a_run_without_best_weights_cannot_be_judged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunDirectory(run).best.unlink()
    RunDirectory(run).last.unlink()
    assert refuses(["eval", "run"], run, capsys) == "run/checkpoints/best.pt: there is no such checkpoint."


@pytest.mark.parametrize(
    ("line", "message"),
    {
        "": "run: has completed its 2 epochs; to train it longer, give it more, such as epochs=4.",
        "epochs=2": "run: has completed its 2 epochs; to train it longer, give it more, such as epochs=4.",
        "epochs=0": f"epochs=0: {COUNT}",
        "epochs=x": "epochs=x: must be a whole number.",
        "device=gpu": f"device.name=gpu: no such device; did you mean 'cuda'? {choose('device')} {OWN}",
        "device=null": f"device=null: must name one device: {one_of('device')}",
        "device=cuda epochs=3": "device=cuda: this machine has no such device. Choose from: auto, …cpu.",
        "data_dir=[5]": "data_dir=[5]: must be a text.",
        "plugins=[nope]": "plugins=[nope]: cannot be imported: No module named 'nope'.",
    }.items(),
)
def test_what_a_run_cannot_be_resumed_with(
    line: str, message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert matches(refuses(["resume", "run", *line.split()], run, capsys), message)


@pytest.mark.parametrize("command", ["resume", "eval"])
def test_the_directory_of_a_day_is_answered_with_one_of_its_runs(
    command: str, run: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "day").mkdir()
    run.rename(here / "day" / "run")
    assert refused([command, "day"], capsys) == "day: is no run directory: it has no run.json. Did you mean day/run?"


@pytest.mark.parametrize("key", ["hydra.run.dir", "++hydra.run.dir"])
def test_a_directory_with_a_run_is_not_written_into(key: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refuses(["train", f"{key}=run"], run, capsys) == (
        "hydra.run.dir=run: already holds a run; choose another directory, or go on with `mlpexp resume run`."
    )
