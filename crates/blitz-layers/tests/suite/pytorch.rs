//! Layers in files of PyTorch's layout, by the adapters of Burn's stores.

use blitz_core::kernels::without_fused;
use blitz_layers::conv::{
    BayesianConvTranspose1d, BayesianConvTranspose1dConfig, BayesianConvTranspose2d,
    BayesianConvTranspose2dConfig, BayesianConvTranspose3d, BayesianConvTranspose3dConfig,
};
use blitz_layers::prelude::*;
use burn::module::{Module, Param};
use burn::nn::conv::{
    Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig,
    ConvTranspose3dConfig,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, EmbeddingConfig, LayerNorm, LayerNormConfig, LinearConfig,
};
use burn::store::{
    BurnToPyTorchAdapter, HalfPrecisionAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore,
    PyTorchToBurnAdapter, SafetensorsStore, SafetensorsStoreError,
};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::seeded::seeded_throughout;

/// A tensor of a file, as it stands there.
#[derive(Module, Debug)]
struct Raw {
    weight: Param<Tensor<2>>,
}

/// A file with a weight of PyTorch's `nn.Linear`: a row for each output.
fn file_of(rows: Tensor<2>) -> Vec<u8> {
    let weight = Param::from_tensor(rows);
    file(&Raw { weight }, SafetensorsStore::from_bytes(None))
}

fn file<M: Module>(module: &M, mut store: SafetensorsStore) -> Vec<u8> {
    module.save_into(&mut store).unwrap();
    store.get_bytes().unwrap()
}

/// The layer with means from a file that PyTorch could have written.
fn loaded<M: Module>(layer: M, bytes: Vec<u8>) -> M {
    let store = SafetensorsStore::from_bytes(Some(bytes));
    let mut store = store.with_from_adapter(PyTorchToBurnAdapter);
    let layer = layer.map_means(|mut means| {
        means.load_from(&mut store)?;
        Ok::<_, SafetensorsStoreError>(means)
    });
    layer.unwrap()
}

fn to_pytorch() -> SafetensorsStore {
    SafetensorsStore::from_bytes(None)
        .clear_metadata()
        .with_to_adapter(BurnToPyTorchAdapter)
}

#[test]
fn a_linear_weight_of_pytorch_is_read_as_pytorch_reads_it() {
    let device = Device::flex();
    let linear = |d_input, d_output| {
        let config = BayesianLinearConfig::new(d_input, d_output).with_bias(false);
        config.init(&device)
    };
    let square = Tensor::from_floats([[1., 2., 3.], [4., 5., 6.], [7., 8., 9.]], &device);
    let layer = loaded(linear(3, 3), file_of(square)).mean_network();
    let output = layer.forward(Tensor::<2>::from_floats([[1., 0., 0.]], &device));
    // torch.nn.functional.linear(x, weight): the first column.
    assert_eq!(
        output.into_data().try_to_vec::<f32>().unwrap(),
        [1., 4., 7.]
    );

    let rows = Tensor::from_floats([[1., 2.], [3., 4.], [5., 6.], [7., 8.]], &device);
    let layer = loaded(linear(2, 4), file_of(rows)).mean_network();
    let output = layer.forward(Tensor::<2>::from_floats([[10., 1.]], &device));
    assert_eq!(
        output.into_data().try_to_vec::<f32>().unwrap(),
        [12., 34., 56., 78.]
    );
}

#[test]
fn a_weight_that_is_read_keeps_its_posterior_in_its_place() {
    let device = Device::flex();
    let layer = BayesianLinearConfig::new(2, 3)
        .with_bias(false)
        .init(&device);
    let before = layer.weight_marginals()[0].std_devs.clone();
    let rows = Tensor::from_floats([[1., 2.], [3., 4.], [5., 6.]], &device);
    let marginals = loaded(layer, file_of(rows)).weight_marginals();
    assert_eq!(marginals[0].means, [1., 3., 5., 2., 4., 6.]);
    assert_eq!(marginals[0].std_devs, before);
}

/// What `forward` gives of Burn's layer and of the Bayesian one with the means of the file that is written of it; the
/// Bayesian layer's own file is the same.
macro_rules! agrees {
    ($burn:expr, $bayesian:expr, $input:expr) => {{
        let device = Device::flex();
        let burn = seeded_throughout($burn.init(&device), 3);
        let written = file(&burn, to_pytorch());
        let layer = loaded($bayesian.init(&device), written.clone());
        let means = layer.mean_network();
        assert_eq!(file(&means, to_pytorch()), written);
        let input = $input;
        let expected = burn.forward(input.clone()).into_data();
        // The library's own convolution adds in another order than Burn's.
        let output = without_fused(|| means.forward(input));
        output.into_data().assert_eq(&expected, true);
    }};
}

fn ramp<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let n: usize = shape.iter().product();
    let values = (0..n).map(|i| ((i * 7) % 11) as f32 / 8.0 - 0.5).collect();
    Tensor::from_data(TensorData::new::<f32, _>(values, shape), &Device::flex())
}

#[test]
fn every_layer_reads_and_writes_pytorchs_layout_as_burns_does() {
    agrees!(
        LinearConfig::new(3, 3),
        BayesianLinearConfig::new(3, 3),
        ramp([4, 3])
    );
    agrees!(
        LinearConfig::new(2, 5),
        BayesianLinearConfig::new(2, 5),
        ramp([4, 2])
    );
    agrees!(
        Conv1dConfig::new(2, 2, 2),
        BayesianConv1dConfig::new(2, 2, 2),
        ramp([2, 2, 5])
    );
    agrees!(
        Conv2dConfig::new([2, 2], [2, 2]),
        BayesianConv2dConfig::new([2, 2], [2, 2]),
        ramp([2, 2, 4, 5])
    );
    agrees!(
        Conv3dConfig::new([2, 2], [2, 2, 2]),
        BayesianConv3dConfig::new([2, 2], [2, 2, 2]),
        ramp([1, 2, 3, 4, 3])
    );
    agrees!(
        ConvTranspose1dConfig::new([2, 2], 2),
        BayesianConvTranspose1dConfig::new([2, 2], 2),
        ramp([2, 2, 5])
    );
    agrees!(
        ConvTranspose2dConfig::new([2, 2], [2, 2]),
        BayesianConvTranspose2dConfig::new([2, 2], [2, 2]),
        ramp([2, 2, 4, 5])
    );
    agrees!(
        ConvTranspose3dConfig::new([2, 2], [2, 2, 2]),
        BayesianConvTranspose3dConfig::new([2, 2], [2, 2, 2]),
        ramp([1, 2, 3, 4, 3])
    );
    agrees!(
        EmbeddingConfig::new(3, 3),
        BayesianEmbeddingConfig::new(3, 3),
        Tensor::<2, Int>::from_ints([[0, 2], [1, 1]], &Device::flex())
    );
}

#[test]
fn half_precision_is_kept_of_the_weights_of_which_burns_layers_have_it() {
    let device = Device::flex();
    let types = |bytes: Vec<u8>| {
        let mut store = SafetensorsStore::from_bytes(Some(bytes));
        let mut means = LinearConfig::new(3, 2).init(&device);
        means.load_from(&mut store).unwrap();
        let bias = means.bias.unwrap().val().dtype();
        (means.weight.val().dtype(), bias)
    };
    let half = || SafetensorsStore::from_bytes(None).with_to_adapter(HalfPrecisionAdapter::new());
    let burn = LinearConfig::new(3, 2).init(&device);
    let layer = BayesianLinearConfig::new(3, 2).init(&device).mean_network();
    let expected = types(file(&burn, half()));
    assert_eq!(types(file(&layer, half())), expected);
    assert_eq!(expected, (DType::F16, DType::F16));
}

#[derive(Module, Debug)]
struct Every {
    linear: BayesianLinear,
    conv1: BayesianConv1d,
    conv2: BayesianConv2d,
    conv3: BayesianConv3d,
    up1: BayesianConvTranspose1d,
    up2: BayesianConvTranspose2d,
    up3: BayesianConvTranspose3d,
    embedding: BayesianEmbedding,
    norm: LayerNorm,
    batch_norm: BatchNorm,
}

impl Every {
    fn new(device: &Device) -> Self {
        let all = BayesianizeConfig::new();
        Self {
            linear: BayesianLinearConfig::new(3, 3).init(device),
            conv1: BayesianConv1dConfig::new(2, 2, 2).init(device),
            conv2: BayesianConv2dConfig::new([2, 2], [2, 2]).init(device),
            conv3: BayesianConv3dConfig::new([2, 2], [2, 2, 2]).init(device),
            up1: BayesianConvTranspose1dConfig::new([2, 2], 2).init(device),
            up2: BayesianConvTranspose2dConfig::new([2, 2], [2, 2]).init(device),
            up3: BayesianConvTranspose3dConfig::new([2, 2], [2, 2, 2]).init(device),
            embedding: BayesianEmbeddingConfig::new(3, 3).init(device),
            norm: LayerNormConfig::new(3).init(device).bayesianize(&all),
            batch_norm: BatchNormConfig::new(3).init(device).bayesianize(&all),
        }
    }
}

/// Saved in PyTorch's layout and half precision and read back, posteriors and all: those of batch norm alone stay in
/// `f32`, as Burn keeps it.
#[test]
fn a_bayesian_network_in_pytorchs_layout_and_half_precision_comes_back() {
    let device = Device::flex();
    let net = seeded_throughout(Every::new(&device), 5);
    let half = HalfPrecisionAdapter::new();
    let store = SafetensorsStore::from_bytes(None)
        .with_to_adapter(BurnToPyTorchAdapter.chain(half.clone()));
    let bytes = file(&net, store);
    let mut store = SafetensorsStore::from_bytes(Some(bytes.clone()));
    let type_of = |store: &mut SafetensorsStore, name: &str| {
        let tensor = store.get_tensor(name).unwrap();
        tensor.unwrap_or_else(|| panic!("no {name}")).dtype
    };
    for name in [
        "linear.weight",
        "up2.bias",
        "embedding.weight",
        "norm.weight",
    ] {
        assert_eq!(type_of(&mut store, name), DType::F16, "{name}");
    }
    for name in [
        "batch_norm.weight",
        "linear.weight.bayes.posterior.Normal.rho",
    ] {
        assert_eq!(type_of(&mut store, name), DType::F32, "{name}");
    }
    let mut back = seeded_throughout(Every::new(&device), 6);
    let store = SafetensorsStore::from_bytes(Some(bytes));
    let mut store = store.with_from_adapter(PyTorchToBurnAdapter.chain(half));
    back.load_from(&mut store).unwrap();
    assert_eq!(back.linear.weight.base().dtype(), DType::F32);
    for (back, there) in back.weight_marginals().iter().zip(net.weight_marginals()) {
        assert_eq!(back.std_devs, there.std_devs, "{}", there.path);
        for (back, there) in back.means.iter().zip(there.means) {
            assert!((back - there).abs() <= there.abs() * 2f32.powi(-11) + 1e-7);
        }
    }
}
