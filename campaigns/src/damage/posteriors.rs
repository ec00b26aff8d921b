//! Readers of what methods beside the ELBO save: adapters, chains; and of networks under PyTorch's names.

use std::fs;
use std::path::Path;

use blitz_mcmc::{Draws, LogDensity, NutsConfig};
use blitz_train::blitz_layers::pytorch::PyTorchNames;
use blitz_train::prelude::*;
use blitz_train::{BlobConfig, load_adapter, save_adapter};
use burn::module::{Lora, Module};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use burn::tensor::{Device, Tensor};

use super::readers::{Guard, Reader, bits, reader, sentence};

/// All of them; `folder` is for what makes their files.
pub(super) fn readers(folder: &Path) -> Vec<Reader> {
    let mut readers = adapters(folder);
    readers.extend(chains(folder));
    readers.extend(names(folder));
    readers
}

fn files(folder: &Path, names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let file = |name: &&str| {
        let bytes = fs::read(folder.join(name)).expect("a file");
        (name.to_string(), bytes)
    };
    names.iter().map(file).collect()
}

/// The bits of tensors' numbers.
fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<u64> {
    bits(tensor.into_data().iter::<f64>())
}

/// Of weights that are the same each time: they are the base of a file's adapters.
fn adapted() -> Linear {
    let half = Initializer::Constant { value: 0.5 };
    let layer = LinearConfig::new(6, 4).with_initializer(half);
    let adapted = layer.init(&Device::flex()).apply_lora(Lora::new(2, 4.0));
    BlobConfig::new().attach(adapted).expect("adapters")
}

fn adapters(folder: &Path) -> Vec<Reader> {
    save_adapter(&adapted(), folder.join("adapter")).expect("an adapter");
    let read = |folder: &Path| {
        let net = load_adapter(adapted(), folder.join("adapter")).map_err(sentence)?;
        let mean = numbers(net.mean_network().weight.val());
        let draw = numbers(net.sample_network(1, 0).weight.val());
        Ok([mean, draw].concat())
    };
    let with_digest = ["adapter.bpk", "adapter.bpk.sha256"];
    vec![
        reader(
            "an adapter with its digest",
            Guard::Digest,
            files(folder, &with_digest),
            read,
        ),
        reader(
            "an adapter without a digest",
            Guard::None,
            files(folder, &with_digest[..1]),
            read,
        ),
    ]
}

#[derive(Module, Debug)]
struct Line {
    layer: Linear,
}

impl Network for Line {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.layer.forward(input)
    }
}

/// Two short chains of a line through three points, kept in `folder`.
fn sampled(folder: &Path) -> Result<Vec<u64>, String> {
    let device = Device::flex();
    let zero = LinearConfig::new(1, 1).with_initializer(Initializer::Zeros);
    let network = Line {
        layer: zero.init(&device),
    };
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(0.5))
        .init(&device);
    let data = LabeledBatch {
        inputs: Tensor::<2>::from_floats([[-1.0], [0.0], [1.0]], &device),
        targets: Tensor::<2>::from_floats([[-2.0], [0.1], [1.9]], &device),
    };
    let prior = |_: &blitz_mcmc::Weight| PriorConfig::normal(1.0);
    let density = LogDensity::new(&network, &likelihood, prior, vec![data]).map_err(sentence)?;
    let nuts = NutsConfig::new()
        .with_chains(2)
        .with_warm_up(20)
        .with_draws(4)
        .with_threads(Some(1));
    let posterior = nuts.init().in_folder(folder).run(&density);
    Ok(drawn(posterior.map_err(sentence)?.draws()))
}

fn drawn(draws: &Draws) -> Vec<u64> {
    let mut values = Vec::new();
    for (number, chain) in draws.chains().iter().enumerate() {
        for (draw, stats) in chain.stats().iter().enumerate() {
            values.extend_from_slice(draws.position(number, draw));
            values.extend([stats.log_density, stats.energy, stats.step_size]);
            values.extend([stats.acceptance, f64::from(u8::from(stats.diverging))]);
            values.extend([stats.tree_depth as f64, stats.leapfrogs as f64]);
        }
    }
    bits(values)
}

fn chains(folder: &Path) -> Vec<Reader> {
    sampled(folder).expect("two chains");
    let plain = ["chain-0.draws", "chain-1.draws"];
    let digests = ["chain-0.draws.sha256", "chain-1.draws.sha256"];
    let with_digests = [plain, digests].concat();
    let load = |folder: &Path| {
        Draws::load(folder)
            .map(|draws| drawn(&draws))
            .map_err(sentence)
    };
    vec![
        reader(
            "chains with their digests",
            Guard::Digest,
            files(folder, &with_digests),
            load,
        ),
        reader(
            "chains without digests",
            Guard::None,
            files(folder, &plain),
            load,
        ),
        reader(
            "chains that a run goes on with",
            Guard::Digest,
            files(folder, &with_digests),
            sampled,
        ),
    ]
}

/// Networks under the names of others.
fn names(folder: &Path) -> Vec<Reader> {
    fn lstm() -> BayesianLstm {
        BayesianLstmConfig::new(2, 3, true).init(&Device::flex())
    }
    fn linear() -> BayesianLinear {
        BayesianLinearConfig::new(3, 2).init(&Device::flex())
    }
    fn store(folder: &Path, name: &str) -> SafetensorsStore {
        SafetensorsStore::from_file(folder.join(name))
    }
    /// The values of a module's parameters in the order of a traversal, those of its posteriors included.
    fn all<M: Module>(module: &M) -> Vec<u64> {
        struct All(Vec<u64>);

        impl burn::module::ModuleVisitor for All {
            fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
                self.0.extend(numbers(param.base()));
            }
        }

        let mut all = All(Vec::new());
        module.visit(&mut all);
        all.0
    }
    let new = |name: &str| store(folder, name).with_to_adapter(BurnToPyTorchAdapter);
    let torch = PyTorchNames::TorchNn.of(lstm());
    let saved = torch.save_into(&mut new("torch.safetensors"));
    saved.expect("tensors");
    let blitz = PyTorchNames::Blitz.of(linear());
    let saved = blitz.save_into(&mut new("blitz.safetensors"));
    saved.expect("tensors");
    vec![
        reader(
            "torch.nn's names",
            Guard::None,
            files(folder, &["torch.safetensors"]),
            |folder| {
                let mut named = PyTorchNames::TorchNn.of(lstm());
                let from = store(folder, "torch.safetensors");
                let loaded = named.load_from(&mut from.with_from_adapter(PyTorchToBurnAdapter));
                loaded.map_err(sentence)?;
                // A file of torch.nn's has no posteriors: those of the module are of its own.
                let lstm = named.into_module().mean_network();
                Ok(all(&lstm))
            },
        ),
        reader(
            "BLiTZ's names",
            Guard::None,
            files(folder, &["blitz.safetensors"]),
            |folder| {
                let mut named = PyTorchNames::Blitz.of(linear());
                let from = store(folder, "blitz.safetensors");
                let loaded = named.load_from(&mut from.with_from_adapter(PyTorchToBurnAdapter));
                loaded.map_err(sentence)?;
                Ok(all(&named.into_module()))
            },
        ),
    ]
}
