//! Posteriors of BLiTZ, bayesian-torch and torch-uncertainty. `pytorch_files/posteriors.py` made the checkpoints, and
//! says what the libraries' own weights and predictions are.

use blitz_layers::conv::BayesianConv2d;
use blitz_layers::prelude::*;
use blitz_layers::pytorch::PyTorchNames;
use burn::module::Module;
use burn::nn::{LinearConfig, LinearLayout};
use burn::store::{
    BurnToPyTorchAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter, PytorchStore,
    SafetensorsStore, bridge,
};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, s};

fn path(file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/pytorch_files/");
    format!("{folder}{file}")
}

#[derive(Module, Debug)]
struct Mlp {
    first: BayesianLinear,
    second: BayesianLinear,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self {
            first: BayesianLinearConfig::new(3, 3).init(device),
            second: BayesianLinearConfig::new(3, 2).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.second.forward(relu(self.first.forward(x)))
    }
}

#[derive(Module, Debug)]
struct ConvNet {
    conv: BayesianConv2d,
    head: BayesianLinear,
}

impl ConvNet {
    fn new(device: &Device) -> Self {
        Self {
            conv: BayesianConv2dConfig::new([1, 2], [2, 2]).init(device),
            head: BayesianLinearConfig::new(8, 2).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.head.forward(relu(self.conv.forward(x)).flatten(1, 3))
    }
}

#[derive(Module, Debug)]
struct Sequence<R: Module> {
    recurrent: R,
    head: BayesianLinear,
}

impl<R: Module> Sequence<R> {
    fn new(recurrent: R, device: &Device) -> Self {
        let head = BayesianLinearConfig::new(3, 2).init(device);
        Self { recurrent, head }
    }

    fn last(&self, output: Tensor<3>) -> Tensor<2> {
        self.head
            .forward(output.slice(s![.., -1.., ..]).squeeze_dim(1))
    }
}

fn lstm(device: &Device) -> Sequence<BayesianLstm> {
    let lstm = BayesianLstmConfig::new(3, 3, true).init(device);
    Sequence::new(lstm, device)
}

#[derive(Module, Debug)]
struct Words {
    embedding: BayesianEmbedding,
    head: BayesianLinear,
}

#[derive(Module, Debug)]
struct OfBlitz {
    mlp: Mlp,
    conv_net: ConvNet,
    lstm: Sequence<BayesianLstm>,
    gru: Sequence<BayesianGru>,
    words: Words,
}

impl OfBlitz {
    fn new(device: &Device) -> Self {
        let gru = BayesianGruConfig::new(3, 3, true).init(device);
        Self {
            mlp: Mlp::new(device),
            conv_net: ConvNet::new(device),
            lstm: lstm(device),
            gru: Sequence::new(gru, device),
            words: Words {
                embedding: BayesianEmbeddingConfig::new(5, 3).init(device),
                head: BayesianLinearConfig::new(3, 2).init(device),
            },
        }
    }
}

#[derive(Module, Debug)]
struct OfBayesianTorch {
    mlp: Mlp,
    conv_net: ConvNet,
    step: Sequence<BayesianLstm>,
}

#[derive(Module, Debug)]
struct OfTorchUncertainty {
    mlp: Mlp,
    conv_net: ConvNet,
}

fn loaded<M: Module>(names: PyTorchNames, module: M, file: &str) -> M {
    let mut named = names.of(module);
    let mut store = PytorchStore::from_file(path(&format!("{file}.pt")));
    let result = named.load_from(&mut store).unwrap();
    assert!(result.errors.is_empty() && result.missing.is_empty());
    // What the library has twice, or of its priors, and nothing else.
    let twice = ["_sampler.", "_prior_dist.", "_zero"];
    let known = |name: &String| twice.iter().any(|part| name.contains(part));
    assert!(result.unused.iter().all(known), "{:?}", result.unused);
    named.into_module()
}

/// What the library says of its own.
struct Library(SafetensorsStore);

impl Library {
    fn new(file: &str) -> Self {
        let path = path(&format!("{file}.safetensors"));
        Self(SafetensorsStore::from_file(path))
    }

    fn values(&mut self, name: &str) -> Vec<f32> {
        let tensor = self.0.get_tensor(name).unwrap();
        let tensor = tensor.unwrap_or_else(|| panic!("no {name}"));
        bridge::to_data(tensor).unwrap().iter::<f32>().collect()
    }

    fn input<const D: usize>(&mut self, net: &str) -> Tensor<D> {
        let tensor = self.0.get_tensor(&format!("{net}.input")).unwrap();
        Tensor::from_data(bridge::to_data(tensor.unwrap()).unwrap(), &Device::flex())
    }

    /// Means to the bit and deviations to 1e-6 of all weights that the file has.
    fn has_the_weights_of(&mut self, net: &impl Module) {
        let mut checked = 0;
        for weight in net.weight_marginals() {
            let mean = format!("mean.{}", weight.path);
            if self.0.get_tensor(&mean).unwrap().is_none() {
                continue;
            }
            assert_eq!(weight.means, self.values(&mean), "{mean}");
            let stds = self.values(&format!("std.{}", weight.path));
            for (ours, theirs) in weight.std_devs.iter().zip(stds) {
                let error = (ours / theirs - 1.0).abs();
                assert!(error < 1e-6, "{}: {ours} for {theirs}", weight.path);
            }
            checked += 1;
        }
        let names = self.0.get_all_tensors().unwrap();
        let names = names.keys().filter(|name| name.starts_with("mean."));
        assert_eq!(names.count(), checked);
    }

    /// Mean and deviation over 10,000 draws, each within four standard errors of the difference.
    fn predicts_as<M: Module>(&mut self, name: &str, net: &M, forward: impl Fn(&M) -> Tensor<2>) {
        const DRAWS: u64 = 10_000;
        let n = DRAWS as f64;
        let draws: Vec<Vec<f64>> = (0..DRAWS)
            .map(|i| net.with_draw(17, i, &forward))
            .map(|output| output.into_data().iter::<f64>().collect())
            .collect();
        let means = self.values(&format!("{name}.mean"));
        let stds = self.values(&format!("{name}.std"));
        for (column, (mean, std)) in means.iter().zip(stds).enumerate() {
            let (mean, std) = (f64::from(*mean), f64::from(std));
            let moment = |center: f64, power| {
                let powers = draws.iter().map(|draw| (draw[column] - center).powi(power));
                powers.sum::<f64>() / n
            };
            let ours = moment(0.0, 1);
            let variance = moment(ours, 2);
            let k = (ours - mean) / (2.0 * variance / n).sqrt();
            assert!(
                k.abs() < 4.0,
                "{name}: mean {ours} for {mean}, {k:.1} errors"
            );
            // The deviation of a deviation, by the fourth moment.
            let error = ((moment(ours, 4) - variance.powi(2)) / n).sqrt() / (2.0 * variance.sqrt());
            let k = (variance.sqrt() - std) / (2f64.sqrt() * error);
            assert!(
                k.abs() < 4.0,
                "{name}: {} for {std}, {k:.1} errors",
                variance.sqrt()
            );
        }
    }

    fn predicts_as_the_two(&mut self, mlp: &Mlp, conv_net: &ConvNet) {
        let x = self.input::<2>("mlp");
        self.predicts_as("mlp", mlp, |net| net.forward(x.clone()));
        let x = self.input::<4>("conv_net");
        self.predicts_as("conv_net", conv_net, |net| net.forward(x.clone()));
    }
}

#[test]
fn networks_of_blitz_predict_as_there() {
    let net = OfBlitz::new(&Device::flex());
    let net = loaded(PyTorchNames::Blitz, net, "blitz");
    let mut library = Library::new("blitz");
    library.has_the_weights_of(&net);
    library.predicts_as_the_two(&net.mlp, &net.conv_net);
    let x = library.input::<3>("lstm");
    library.predicts_as("lstm", &net.lstm, |net| {
        net.last(net.recurrent.forward(x.clone(), None).0)
    });
    let x = library.input::<3>("gru");
    library.predicts_as("gru", &net.gru, |net| {
        net.last(net.recurrent.forward(x.clone(), None).0)
    });
    let tokens: Tensor<2, Int> = Tensor::from_ints([[0], [2], [4]], &Device::flex());
    library.predicts_as("words", &net.words, |net| {
        net.head
            .forward(net.embedding.forward(tokens.clone()).squeeze_dim(1))
    });
}

#[test]
fn the_two_biases_of_an_lstm_share_the_mean_and_the_variance_of_blitzs_one() {
    let net = OfBlitz::new(&Device::flex());
    let net = loaded(PyTorchNames::Blitz, net, "blitz");
    let marginals = net.weight_marginals();
    let bias = |transform: &str| {
        let path = format!("lstm.recurrent.forget_gate.{transform}.bias");
        marginals.iter().find(|w| w.path == path).unwrap()
    };
    let (input, hidden) = (bias("input_transform"), bias("hidden_transform"));
    let mut store = PytorchStore::from_file(path("blitz.pt"));
    let mut values = |name: &str| -> Vec<f32> {
        let tensor = store.get_tensor(name).unwrap().unwrap();
        bridge::to_data(tensor).unwrap().iter::<f32>().collect()
    };
    let (mu, rho) = (
        values("lstm.recurrent.bias_mu"),
        values("lstm.recurrent.bias_rho"),
    );
    for i in 0..3 {
        assert_eq!(input.means[i] + hidden.means[i], mu[3 + i]);
        let variance = input.std_devs[i].powi(2) + hidden.std_devs[i].powi(2);
        let std = rho[3 + i].exp().ln_1p();
        assert!((variance.sqrt() / std - 1.0).abs() < 1e-6);
    }
}

#[test]
fn networks_of_bayesian_torch_predict_as_there() {
    let device = Device::flex();
    let net = OfBayesianTorch {
        mlp: Mlp::new(&device),
        conv_net: ConvNet::new(&device),
        step: lstm(&device),
    };
    let net = loaded(PyTorchNames::BayesianTorch, net, "bayesian_torch");
    let mut library = Library::new("bayesian_torch");
    library.has_the_weights_of(&net);
    library.predicts_as_the_two(&net.mlp, &net.conv_net);
    let x = library.input::<3>("step");
    let state = |value| Tensor::<3>::full([1, 3, 3], value, &device);
    library.predicts_as("step", &net.step, |net| {
        let state = burn::nn::LstmState::new(state(-0.3), state(0.5));
        net.last(net.recurrent.forward(x.clone(), Some(state)).0)
    });
}

#[test]
fn networks_of_torch_uncertainty_predict_as_there() {
    let device = Device::flex();
    let net = OfTorchUncertainty {
        mlp: Mlp::new(&device),
        conv_net: ConvNet::new(&device),
    };
    let net = loaded(PyTorchNames::TorchUncertainty, net, "torch_uncertainty");
    let mut library = Library::new("torch_uncertainty");
    library.has_the_weights_of(&net);
    library.predicts_as_the_two(&net.mlp, &net.conv_net);
}

#[test]
fn a_converted_module_takes_the_posteriors_of_a_file_too() {
    #[derive(Module, Debug)]
    struct Plain {
        first: burn::nn::Linear,
        second: burn::nn::Linear,
    }
    #[derive(Module, Debug)]
    struct Net {
        mlp: Plain,
    }
    let device = Device::flex();
    let linear = |d_output| burn::nn::LinearConfig::new(3, d_output).init(&device);
    let (first, second) = (linear(3), linear(2));
    let net = Net {
        mlp: Plain { first, second },
    };
    let net = net.bayesianize(&BayesianizeConfig::new());
    let mut named = PyTorchNames::Blitz.of(net);
    named
        .load_from(&mut PytorchStore::from_file(path("blitz.pt")))
        .unwrap();
    let marginals = named.into_module().weight_marginals();
    let mut library = Library::new("blitz");
    for weight in marginals {
        assert_eq!(
            weight.means,
            library.values(&format!("mean.{}", weight.path))
        );
    }
}

#[test]
fn what_is_written_under_a_librarys_names_is_its_file() {
    let net = OfBlitz::new(&Device::flex());
    let net = loaded(PyTorchNames::Blitz, net, "blitz");
    let mut written = SafetensorsStore::from_bytes(None);
    PyTorchNames::Blitz.of(net).save_into(&mut written).unwrap();
    let bytes = written.get_bytes().unwrap();
    let mut written = SafetensorsStore::from_bytes(Some(bytes));
    let mut original = PytorchStore::from_file(path("blitz.pt"));
    for (name, tensor) in written.get_all_tensors().unwrap() {
        let ours: Vec<f64> = bridge::to_data(tensor).unwrap().iter().collect();
        let theirs = original.get_tensor(name).unwrap();
        let theirs = theirs.unwrap_or_else(|| panic!("BLiTZ has no {name}"));
        let theirs: Vec<f64> = bridge::to_data(theirs).unwrap().iter().collect();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let is_spare = |column: usize, block| column / 3 % 4 == block;
        for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            // The gate that BLiTZ's GRU never reads.
            let spare = name.contains("gru.recurrent.weight_ih") && is_spare(i, 3)
                || name.contains("gru.recurrent.weight_hh") && is_spare(i, 2);
            assert!(
                spare || (ours - theirs).abs() < 1e-6 * theirs.abs().max(1.0),
                "{name}"
            );
        }
    }
}

#[test]
fn a_posterior_of_another_family_is_refused() {
    #[derive(Module, Debug)]
    struct Net {
        mlp: Mlp,
    }
    let device = Device::flex();
    let linear = |d_output| {
        BayesianLinearConfig::new(3, d_output)
            .with_posterior(PosteriorConfig::laplace(0.1))
            .init(&device)
    };
    let (first, second) = (linear(3), linear(2));
    let mlp = Mlp { first, second };
    let mut named = PyTorchNames::Blitz.of(Net { mlp });
    let store = || PytorchStore::from_file(path("blitz.pt"));
    assert!(named.load_from(&mut store()).is_err());
    let result = named.load_from(&mut store().allow_partial(true)).unwrap();
    // A `PytorchStore` leaves the names of enum variants out of paths.
    let rho = "mlp.first.weight.bayes.posterior.rho";
    assert!(result.missing.iter().any(|(path, _)| path == rho));
    assert!(result.applied.is_empty());
}

/// What is written under BLiTZ's names.
fn bytes_of(module: impl Module) -> Vec<u8> {
    let mut store = SafetensorsStore::from_bytes(None);
    PyTorchNames::Blitz
        .of(module)
        .save_into(&mut store)
        .unwrap();
    store.get_bytes().unwrap().to_vec()
}

#[test]
fn an_lstm_without_a_forget_gate_takes_no_gate_of_a_file() {
    #[derive(Module, Debug)]
    struct Net {
        lstm: Sequence<BayesianLstm>,
        step: Sequence<BayesianLstm>,
    }
    let device = Device::flex();
    let coupled = || {
        let lstm = BayesianLstmConfig::new(3, 3, true).with_input_forget(true);
        Sequence::new(lstm.init(&device), &device)
    };
    for (names, file, net) in [
        (PyTorchNames::Blitz, "blitz.pt", "lstm"),
        (PyTorchNames::BayesianTorch, "bayesian_torch.pt", "step"),
    ] {
        let (lstm, step) = (coupled(), coupled());
        let mut named = names.of(Net { lstm, step });
        let mut store = PytorchStore::from_file(path(file)).allow_partial(true);
        let result = named.load_from(&mut store).unwrap();
        let is_of_head = |path: &String| path.starts_with(&format!("{net}.head."));
        assert!(result.applied.iter().all(is_of_head) && result.applied.len() == 4);
        let gate = format!("{net}.recurrent.input_gate.input_transform.weight");
        assert!(
            result.missing.iter().any(|(path, _)| *path == gate),
            "{names:?}"
        );
    }
}

#[test]
fn a_bias_of_which_one_half_alone_is_bayesian_is_not_blitzs() {
    let lstm = burn::nn::LstmConfig::new(3, 3, true).init(&Device::flex());
    let one = BayesianizeConfig::new().only(WeightFilter::path("*.hidden_transform.*"));
    let mut store = SafetensorsStore::from_bytes(Some(bytes_of(lstm.bayesianize(&one))));
    let names = store.get_all_tensors().unwrap();
    assert!(names.contains_key("weight_hh_mu") && names.contains_key("bias_ih_l0"));
    assert!(!names.contains_key("bias_mu"));
}

#[test]
fn a_pruned_network_is_written_as_it_computes_and_stays_as_it_is() {
    let device = Device::flex();
    let whole = loaded(PyTorchNames::Blitz, OfBlitz::new(&device), "blitz");
    let (pruned, report) = whole.clone().prune_by_signal_to_noise(0.5);
    let taken = |file: &OfBlitz, net: OfBlitz| {
        let mut named = PyTorchNames::Blitz.of(net);
        let mut store = SafetensorsStore::from_bytes(Some(bytes_of(file.clone())));
        named.load_from(&mut store).unwrap();
        named.into_module().weight_marginals()
    };
    let written = taken(&pruned, OfBlitz::new(&device));
    let back = taken(&whole, pruned.clone());
    let mut zeros = 0;
    for ((weight, written), back) in pruned.weight_marginals().iter().zip(written).zip(back) {
        // Two biases of one sum may have one pruned alone, whose other then has all of it.
        let is_sum = weight.path.contains(".recurrent.") && weight.path.ends_with("bias");
        for i in 0..weight.means.len() {
            let (mean, std) = (weight.means[i], weight.std_devs[i]);
            zeros += usize::from(mean == 0.0);
            if is_sum {
                continue;
            }
            assert_eq!((back.means[i], back.std_devs[i]), (mean, std));
            assert_eq!(written.means[i], mean);
            match mean == 0.0 {
                true => assert!(written.std_devs[i] < 1e-15, "{}", weight.path),
                false => assert_eq!(written.std_devs[i], std),
            }
        }
    }
    assert_eq!(zeros, report.pruned);
}

/// A layer of either layout has one file, and the file gives either the same matrix.
fn assert_one_file<M: Module>(
    names: PyTorchNames,
    layer: impl Fn(LinearLayout) -> M,
    matrix: impl Fn(&M) -> Tensor<2>,
) {
    let bytes_of = |layer: M| {
        let mut store = SafetensorsStore::from_bytes(None).with_to_adapter(BurnToPyTorchAdapter);
        names.of(layer).save_into(&mut store).unwrap();
        store.get_bytes().unwrap().to_vec()
    };
    let tensors = |bytes: Vec<u8>| {
        let mut store = SafetensorsStore::from_bytes(Some(bytes));
        let all = store.get_all_tensors().unwrap();
        let data = all
            .iter()
            .map(|(name, tensor)| (name.clone(), bridge::to_data(tensor).unwrap()));
        data.collect::<Vec<_>>()
    };
    let row = layer(LinearLayout::Row);
    let bytes = bytes_of(row.clone());
    for layout in [LinearLayout::Row, LinearLayout::Col] {
        let mut store = SafetensorsStore::from_bytes(Some(bytes.clone()))
            .with_from_adapter(PyTorchToBurnAdapter);
        let mut named = names.of(layer(layout));
        named.load_from(&mut store).unwrap();
        let loaded = named.into_module();
        let [expected, got] = [&row, &loaded].map(&matrix);
        assert_eq!(got.dims(), expected.dims());
        got.to_data().assert_eq(&expected.to_data(), true);
        assert_eq!(tensors(bytes_of(loaded.clone())), tensors(bytes.clone()));
        // A record of Burn's has the layout that it had.
        let back = layer(layout).load_record(loaded.into_record());
        matrix(&back).to_data().assert_eq(&expected.to_data(), true);
    }
}

#[test]
fn a_linear_layer_of_either_layout_has_the_same_file() {
    let device = Device::flex();
    for (d_input, d_output) in [(4, 4), (3, 2)] {
        let bayesian = |layout| {
            BayesianLinearConfig::new(d_input, d_output)
                .with_layout(layout)
                .init(&device)
        };
        let of_burn = |layout| {
            LinearConfig::new(d_input, d_output)
                .with_layout(layout)
                .init(&device)
        };
        for names in [
            PyTorchNames::TorchNn,
            PyTorchNames::Blitz,
            PyTorchNames::BayesianTorch,
            PyTorchNames::TorchUncertainty,
        ] {
            assert_one_file(names, bayesian, |layer| layer.mean_network().weight.base());
            assert_one_file(names, of_burn, |layer| layer.weight.val());
        }
    }
}

#[test]
fn what_a_file_does_not_have_stays_to_the_bit() {
    let device = Device::flex();
    let whole = OfBlitz::new(&device);
    let file = PyTorchNames::Blitz.of(whole.clone());
    let mut only = SafetensorsStore::from_bytes(None).with_regex("^mlp");
    file.save_into(&mut only).unwrap();
    let mut only =
        SafetensorsStore::from_bytes(Some(only.get_bytes().unwrap().to_vec())).allow_partial(true);
    let net = OfBlitz::new(&device);
    let values = |net: &OfBlitz| {
        let all = net.weight_marginals();
        let of = |w: &blitz_layers::blitz_core::WeightMarginals| {
            (w.path.clone(), w.means.clone(), w.std_devs.clone())
        };
        let (loaded, others): (Vec<_>, Vec<_>) = all
            .iter()
            .map(of)
            .partition(|(path, ..)| path.starts_with("mlp"));
        (loaded, others)
    };
    let before = values(&net);
    let mut named = PyTorchNames::Blitz.of(net);
    let result = named.load_from(&mut only).unwrap();
    assert!(
        result.applied.iter().all(|path| path.starts_with("mlp")) && !result.applied.is_empty()
    );
    let after = values(&named.into_module());
    assert_eq!(after.0, values(&whole).0);
    assert!(
        before.1 == after.1,
        "a bias that the file does not have was shared out anew"
    );
}
