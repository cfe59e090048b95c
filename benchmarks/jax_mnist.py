"""A sweep over seeds on MNIST in JAX, as a careful person writes it: the yardstick of sweeps.py, which starts this.

    python benchmarks/jax_mnist.py DATA.npz [--members 8]

Trains an epoch for each line on its standard input, and answers with a line of JSON: the seconds it took, then by
member the training and validation loss, and the training and validation accuracy. The first epoch also compiles.

One jitted call is an epoch: a scan over its steps, of a step that vmap makes of one for a single member. The state is
donated, the data are float32 and standardised in advance, and each member shuffles for itself. XLA takes as many
threads as there are cores. Tried, and no faster here beyond the noise: unrolling the scan, other random generators,
fewer random bits for dropout, weights the other way round, the variance in one pass.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

BATCH_SIZE, WIDTHS, P_DROPPED, MOMENTUM = 64, (784, 256, 256, 10), 0.2, 0.1
OPTIMIZER = optax.adam(0.001)


def init(key: jax.Array) -> dict[str, Any]:
    """A member's parameters, running statistics and optimizer, with PyTorch's default initial weights."""
    params, statistics = [], []
    for n_in, n_out in pairwise(WIDTHS):
        key, of_weight, of_bias = jax.random.split(key, 3)
        bound = n_in**-0.5
        layer = {
            "weight": jax.random.uniform(of_weight, (n_in, n_out), minval=-bound, maxval=bound),
            "bias": jax.random.uniform(of_bias, (n_out,), minval=-bound, maxval=bound),
        }
        if n_out != WIDTHS[-1]:
            layer |= {"scale": jnp.ones(n_out), "shift": jnp.zeros(n_out)}
            statistics.append({"mean": jnp.zeros(n_out), "var": jnp.ones(n_out)})
        params.append(layer)
    return {"params": params, "statistics": statistics, "optimizer": OPTIMIZER.init(params)}


def network(params: Any, statistics: Any, x: jax.Array, masks: list[jax.Array] | None) -> tuple[jax.Array, Any]:
    """Logits and the new running statistics; `masks` of kept units while training."""
    updated = []
    for index, (layer, running) in enumerate(zip(params[:-1], statistics, strict=True)):
        x = x @ layer["weight"] + layer["bias"]
        if masks is None:
            mean, var = running["mean"], running["var"]
        else:
            mean, var = x.mean(0), x.var(0)
            unbiased = var * (len(x) / (len(x) - 1))
            updated.append(
                {
                    "mean": (1 - MOMENTUM) * running["mean"] + MOMENTUM * mean,
                    "var": (1 - MOMENTUM) * running["var"] + MOMENTUM * unbiased,
                }
            )
        x = (x - mean) * (jax.lax.rsqrt(var + 1e-5) * layer["scale"]) + layer["shift"]
        x = jax.nn.relu(x)
        if masks is not None:
            x = jnp.where(masks[index], x / (1 - P_DROPPED), 0)
    return x @ params[-1]["weight"] + params[-1]["bias"], updated


def loss_and_hits(logits: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sums over the rows."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
    return losses.sum(), (logits.argmax(-1) == y).sum()


def step(state: Any, x: jax.Array, y: jax.Array, masks: list[jax.Array]) -> tuple[Any, tuple[jax.Array, jax.Array]]:
    """One step of one member; loss and hits from before it."""

    def objective(params: Any) -> tuple[jax.Array, Any]:
        logits, statistics = network(params, state["statistics"], x, masks)
        loss, hits = loss_and_hits(logits, y)
        return loss / len(x), (statistics, loss, hits)

    grads, (statistics, loss, hits) = jax.grad(objective, has_aux=True)(state["params"])
    updates, optimizer = OPTIMIZER.update(grads, state["optimizer"])
    params = optax.apply_updates(state["params"], updates)
    return {"params": params, "statistics": statistics, "optimizer": optimizer}, (loss, hits)


@partial(jax.jit, donate_argnums=0, static_argnums=3)
def epoch(state: Any, key: jax.Array, data: dict[str, jax.Array], members: int) -> tuple[Any, Any]:
    """An epoch of all members, stacked along the first axis."""
    n = len(data["x"])
    key, of_order = jax.random.split(key)
    orders = jax.vmap(lambda k: jax.random.permutation(k, n))(jax.random.split(of_order, members))

    def take(state: Any, rows_and_key: tuple[jax.Array, jax.Array]) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        rows, key = rows_and_key
        shape = (len(WIDTHS) - 2, *rows.shape, WIDTHS[1])
        masks = jax.random.bernoulli(key, 1 - P_DROPPED, shape)
        return jax.vmap(step)(state, data["x"][rows], data["y"][rows], list(masks))

    whole = n // BATCH_SIZE
    keys = jax.random.split(key, whole + 1)
    batches = orders[:, : whole * BATCH_SIZE].reshape(members, whole, BATCH_SIZE).swapaxes(0, 1)
    state, (losses, hits) = jax.lax.scan(take, state, (batches, keys[:whole]))
    loss, hit = losses.sum(0), hits.sum(0)
    if n % BATCH_SIZE:
        state, (last_loss, last_hit) = take(state, (orders[:, whole * BATCH_SIZE :], keys[whole]))
        loss, hit = loss + last_loss, hit + last_hit

    def judge(state: Any) -> tuple[jax.Array, jax.Array]:
        logits, _ = network(state["params"], state["statistics"], data["x_val"], None)
        return loss_and_hits(logits, data["y_val"])

    val_loss, val_hit = jax.vmap(judge)(state)
    n_val = len(data["x_val"])
    return state, jnp.stack([loss / n, val_loss / n_val, hit / n, val_hit / n_val])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", help="an .npz of x, y, x_val, y_val")
    parser.add_argument("--members", type=int, default=8)
    args = parser.parse_args()
    data = {name: jax.device_put(array) for name, array in np.load(args.data).items()}
    state = jax.vmap(init)(jax.random.split(jax.random.key(0), args.members))
    key = jax.random.key(1)
    for _ in sys.stdin:
        began = time.perf_counter()
        key, of_epoch = jax.random.split(key)
        state, numbers = epoch(state, of_epoch, data, args.members)
        table = np.asarray(numbers).tolist()
        print(json.dumps([time.perf_counter() - began, *table]), flush=True)


if __name__ == "__main__":
    main()
