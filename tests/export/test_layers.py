"""Every layer in ONNX and in torch.export: the same numbers as in torch, for any batch.

The oracle is the network itself, run by torch; the files are run by onnxruntime and by torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch

from cnntrain.arch.network import Network
from cnntrain.core.errors import UsageError
from cnntrain.core.trust import name_plugin
from cnntrain.export.onnx import save_onnx
from cnntrain.export.program import save_program, trace
from cnntrain.export.reference import Reference
from cnntrain.layers import LAYERS

MakeNet = Callable[..., Network]
SHAPE = (3, 16, 16)

NORMS_AND_POOLS = """
layers:
  - conv: {out: 6, padding: same}
  - lcn: {kernel: 5}
  - abs
  - gain
  - lcn: {kernel: 3, across_maps: false, floor: 0.1}
  - batch_norm
  - divisive_norm: {kernel: 3, maps: 3}
  - local_response_norm: {alpha: 0.1}
  - group_norm: {groups: 2}
  - layer_norm
  - pointwise: {out: 6}
  - gelu
  - layer_scale: {initial: 0.5}
  - leaky_relu
  - elu
  - prelu
  - softplus
  - max_pool: {kernel: 3, stride: 2, padding: 1, ceil: true}
  - branches:
      paths:
        one: [{lp_pool: {p: 3, kernel: 3, stride: 2, padding: 1}}]
        two: [{lp_pool: {p: 5.5, kernel: 3, stride: 2, padding: 1}}]
        three: [{l2_pool: {kernel: 3, stride: 2, padding: 1}}]
        four: [{avg_pool: {kernel: 3, stride: 2, padding: 1, count_padding: false}}]
        five: [softmax, {avg_pool: {kernel: 2, ceil: true}}]
  - adaptive_avg_pool: {out: [3, 2]}
  - global_avg_pool
  - linear: {out: $num_classes}
    as: code                            # which is an attribute of torch's programs, too
"""
LENETS = """
layers:
  - whiten: {kernel: 1}
  - conv: {out: 6, kernel: 3}
  - {subsampling: {kernel: 2}, as: pooled}
  - scaled_tanh
  - {sparse_conv: {table: lenet5, kernel: 3}, as: sparse}
  - {local: {out: 16, kernel: 3, padding: 1}}
  - {sequence: {layers: [tanh, sigmoid]}, as: squashed}
  - {add: , from: [sparse, squashed]}
  - maxout
  - dropout2d
  - flatten
  - {linear: {out: 12}, as: features}
  - {dropconnect: {out: 8}, as: dropped}
  - {concat: , from: [features, dropped]}
  - dropout
  - rbf_output: {out: $num_classes}
"""
NEOCOGNITRON_AND_RESNETS = """
layers:
  - s_cell: {out: 4, kernel: 3}
  - c_cell: {kernel: 3, stride: 2, padding: 1}
  - residual:
      body: [{conv: {out: 6, stride: 2, padding: same}}, {squeeze_excite: {reduction: 2}}]
      shortcut: [{zero_pad_shortcut: {out: 6, stride: 2}}]
  - relu
  - residual: {body: [{conv: {out: 6, padding: same}}, stochastic_depth]}
  - identity
  - dense_connection:
      body: [{channel_slice: {start: 1, stop: 5}}, {conv: {out: 3, padding: same}}]
  - channel_shuffle: {groups: 3}
  - global_max_pool
  - linear: {out: $num_classes}
"""
MOBILE = """
layers:
  - conv: {out: 8, bias: false}
  - batch_norm
  - hard_sigmoid
  - squeeze_excite: {squeeze: 3, activation: silu, gate: hard_sigmoid}
  - residual:
      body: [{conv: {out: 12, kernel: 1}}, relu6, {conv: {out: 6, stride: 2, groups: 6}}, silu]
      project: false
  - group_norm: {groups: 6}
  - flatten
  - {linear: {out: 20}}
  - hard_swish
  - linear: {out: $num_classes}
"""
DECODERS = """
layers:
  - gaussian_noise
  - conv: {out: 4, padding: circular}
  - masking_noise
  - max_pool
  - tanh
  - flatten
  - linear: {out: 12}
  - unflatten: {shape: [3, 2, 2]}
  - conv_transpose: {out: 4, stride: 2, padding: same}
  - relu
  - upsample
  - conv_transpose: {out: 2, kernel: 2, stride: 2, groups: 2}
  - upsample: {size: [10, 14], mode: bilinear}
  - flatten
  - linear: {out: $num_classes}
"""
AUTOENCODER = """
layers:
  - {conv: {out: 6, kernel: 5, stride: 2, padding: same}, as: encoder}
  - max_pool: {kernel: 3, stride: 2, padding: 1}
  - tanh
  - unpool: {of: max_pool1}
  - tied: {to: encoder}
  - flatten
  - {linear: {out: 50}, as: inner}
  - tied: {to: inner}
  - {with_target: , from: [tied2, flatten1]}
heads:
  number: {layers: [flatten, {linear: {out: $num_classes}}]}
  image: {from: tied1, layers: [tanh]}
"""
NETS = {
    "norms_and_pools": NORMS_AND_POOLS,
    "lenets": LENETS,
    "neocognitron_and_resnets": NEOCOGNITRON_AND_RESNETS,
    "mobile": MOBILE,
    "decoders": DECODERS,
    "autoencoder": AUTOENCODER,
}


def reference(net: Network) -> Reference:
    images = torch.rand(5, *net.in_shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits = net(images)
    assert logits.std(dim=0).min() > 1e-3, "the images must matter"
    return Reference(images.clone(), logits.clone())


@pytest.mark.parametrize("name", NETS)
def test_the_same_numbers(network: MakeNet, tmp_path: Path, name: str) -> None:
    net = network(NETS[name], shape=SHAPE)
    expected = reference(net)
    program = trace(net, in_shape=SHAPE)
    graph, traced = tmp_path / "net.onnx", tmp_path / "net.pt2"
    save_onnx(program, graph, text="{}", output="logits", reference=expected, weights=0)
    save_program(program, traced, text="{}", reference=expected)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    loaded = torch.export.load(traced).module()
    for count in (1, 2, 5):
        images, logits = expected.images[:count], expected.logits[:count]
        [found] = session.run(None, {"images": images.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(loaded(images), logits, rtol=1e-5, atol=1e-6)


def test_no_layer_is_left_out(network: MakeNet) -> None:
    tried = {
        operation
        for text in NETS.values()
        for operation in network(text, shape=SHAPE, device="meta").operations.values()
    }
    assert set(LAYERS.names()) <= tried


def test_auxiliary_heads_are_left_out(network: MakeNet) -> None:
    net = network(
        "layers: [{conv: {out: 4}, as: stem}, global_avg_pool, {linear: {out: $num_classes}}]\n"
        "aux: [{from: stem, weight: 0.3, layers: [global_avg_pool, {linear: {out: $num_classes}}]}]"
    )
    assert net.aux_weights == (0.3,)
    forward = trace(net, in_shape=(3, 8, 8)).module()
    images = torch.rand(3, 3, 8, 8)
    assert torch.equal(forward(images), net(images))


PLUGIN = """
import torch
from torch import Tensor, nn
from cnntrain.layers import layer

@layer("picky")
class Picky(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.is_meta or x.sum() > 0 else -x

@layer("pair")
class Pair(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.is_meta else x.reshape(2, *x.shape[1:])

@layer("eigen")
class Eigen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.linalg.eigvals(x @ x.transpose(2, 3)).real.unsqueeze(3)
"""


@pytest.mark.parametrize(
    ("name", "what"), [("picky", r"the layer 'block\.picky1'"), ("pair", "the network")]
)
def test_what_cannot_be_traced_is_told(
    network: MakeNet, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, what: str
) -> None:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    LAYERS.add_plugin(name_plugin(tmp_path / "plugin.py"))
    inner = f"layers: [{{sequence: {{layers: [relu, {name}]}}, as: block}}, flatten, "
    net = network(inner + "{linear: {out: 3}}]")
    with pytest.raises(UsageError, match=rf"^torch\.export cannot trace {what}: ") as caught:
        trace(net, in_shape=(3, 8, 8))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_an_operation_that_onnx_lacks(network: MakeNet, tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    LAYERS.add_plugin(name_plugin(tmp_path / "plugin.py"))
    net = network("layers: [eigen, flatten, {linear: {out: 3}}]")
    program = trace(net, in_shape=(3, 8, 8))
    expected = reference(net)
    with pytest.raises(UsageError, match=r"ONNX cannot say .*linalg_eig"):
        save_onnx(
            program, tmp_path / "a.onnx", text="{}", output="logits", reference=expected, weights=0
        )
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["plugin.py"]


def test_what_one_onnx_file_cannot_hold(network: MakeNet, tmp_path: Path) -> None:
    net = network("layers: [flatten, {linear: {out: 3}}]")
    program, expected = trace(net, in_shape=(3, 8, 8)), reference(net)
    with pytest.raises(UsageError, match=r"the weights take 2\.5 GB, .* file at most 2\.1"):
        save_onnx(
            program,
            tmp_path / "a.onnx",
            text="{}",
            output="logits",
            reference=expected,
            weights=2_500_000_000,
        )
    assert list(tmp_path.iterdir()) == []
