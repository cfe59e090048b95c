"""What people who come from Keras, Lightning, scikit-learn or PyTorch type, and the overrides that do it here."""

from __future__ import annotations

_HIDDEN = "model.hidden={list}"
_EPOCHS = "epochs={value}"
_BATCH = "batch_size={value}"
_SEED = "seed={value}"
_NORM = "clip.norm={value}"
_CUDA = "device=cuda"

# By the key that is typed; {value} is what it is given, {list} the same in brackets.
KEYS = {
    "accelerator": _CUDA,
    "alpha": "regularizer=[l2] regularizer.l2.strength={value}",
    "amp": "precision=bf16",
    "batch": _BATCH,
    "batch_norm": "regularizer=[batchnorm]",
    "batch_normalization": "regularizer=[batchnorm]",
    "batchnorm": "regularizer=[batchnorm]",
    "bs": _BATCH,
    "clip_norm": _NORM,
    "clipnorm": _NORM,
    "clipvalue": "clip.value={value}",
    "criterion": "loss={value}",
    "csv": "dataset=table dataset.path={value}",
    "cuda": _CUDA,
    "data": "dataset={value}",
    "dropout": "regularizer=[dropout] regularizer.dropout.p={value}",
    "dropout_rate": "regularizer=[dropout] regularizer.dropout.p={value}",
    "early_stopping": "regularizer=[early_stopping]",
    "gpu": _CUDA,
    "gpus": _CUDA,
    "grad_clip": _NORM,
    "gradient_clip_val": _NORM,
    "hidden": _HIDDEN,
    "hidden_dim": _HIDDEN,
    "hidden_dims": _HIDDEN,
    "hidden_layer_sizes": _HIDDEN,
    "hidden_layers": _HIDDEN,
    "hidden_size": _HIDDEN,
    "hidden_sizes": _HIDDEN,
    "hidden_units": _HIDDEN,
    "initializer": "init={value}",
    "kernel_initializer": "init={value}",
    "l1": "regularizer=[l1] regularizer.l1.strength={value}",
    "l2": "regularizer=[l2] regularizer.l2.strength={value}",
    "label_smoothing": "regularizer=[label_smoothing] regularizer.label_smoothing.epsilon={value}",
    "layers": _HIDDEN,
    "learning_rate": "optimizer.lr={value}",
    "learning_rate_init": "optimizer.lr={value}",
    "loss_fn": "loss={value}",
    "lr": "optimizer.lr={value}",
    "lr_scheduler": "scheduler={value}",
    "max_epochs": _EPOCHS,
    "max_grad_norm": _NORM,
    "max_iter": _EPOCHS,
    "momentum": "optimizer=momentum optimizer.momentum={value}",
    "n_epochs": _EPOCHS,
    "nb_epoch": _EPOCHS,
    "nonlinearity": "activation={value}",
    "num_epochs": _EPOCHS,
    "patience": "regularizer=[early_stopping] regularizer.early_stopping.patience={value}",
    "random_seed": _SEED,
    "random_state": _SEED,
    "seed_everything": _SEED,
    "solver": "optimizer={value}",
    "units": _HIDDEN,
    "wd": "optimizer=adamw optimizer.weight_decay={value}",
    "weight_decay": "optimizer=adamw optimizer.weight_decay={value}",
}
