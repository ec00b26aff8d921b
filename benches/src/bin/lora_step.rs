//! A training step of LoRA on the upper layers of a transformer of MiniLM-L6's size, by method: time, memory, and the
//! adapter's file.
//!
//! `cargo run --release -p blitz-benches --bin lora_step`

use std::error::Error;

use blitz_benches::{Counting, median, timed};
use blitz_train::prelude::*;
use blitz_train::{BlobConfig, Ivon, IvonConfig, save_adapter};
use burn::module::{Lora, Module, ParamGroup};
use burn::nn::transformer::{TransformerEncoderConfig, TransformerEncoderLayer};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Int, Tensor};
use clap::{Parser, value_parser};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Features of a token, of the inner layer, heads and classes.
const SIZE: [usize; 4] = [384, 1536, 12, 15];
/// Labelled examples.
const EXAMPLES: usize = 300;
/// Steps before those that are timed.
const WARM_UP: usize = 3;

/// Times a training step of LoRA and of what makes it Bayesian, and counts the bytes that are alive on the heap during
/// one.
///
/// The layers below the adapters do not train and are not run. A temperature, Laplace's last layer and TFB have the
/// step of LoRA, an ensemble of five has it five times.
#[derive(Debug, Parser)]
struct Options {
    /// Layers with adapters.
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u8).range(1..))]
    layers: u8,
    /// Tokens of a text.
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..))]
    tokens: u16,
    /// Texts of a step.
    #[arg(long, default_value_t = 32, value_parser = value_parser!(u16).range(1..))]
    batch: u16,
    /// Rank of the adapters.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..=384))]
    rank: u16,
    /// Steps that are timed, in each of three rounds.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..))]
    steps: u16,
}

#[derive(Module, Debug)]
struct Net {
    layers: Vec<TransformerEncoderLayer>,
    dropout: McDropout,
    head: Linear,
}

impl Network for Net {
    type Input = Tensor<3>;
    type Output = Tensor<2>;

    fn forward(&self, tokens: Tensor<3>) -> Tensor<2> {
        let states = self.layers.iter().fold(tokens, |states, layer| {
            self.dropout.forward(layer.forward(states, None, None))
        });
        self.head.forward(states.mean_dim(1).squeeze_dim(1))
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    Lora,
    McDropout,
    Blob,
    Ivon,
}

impl Method {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Lora, "LoRA"),
        (Self::McDropout, "Monte Carlo dropout"),
        (Self::Blob, "BLoB"),
        (Self::Ivon, "IVON"),
    ];
}

/// The data of a step.
struct Batch {
    tokens: Tensor<3>,
    labels: Tensor<1, Int>,
}

/// A training under way.
struct Training<'a> {
    batch: &'a Batch,
    net: Option<Net>,
    adam: ModuleOptimizer,
    elbo: Elbo,
    method: Method,
    step: u64,
}

impl<'a> Training<'a> {
    /// Adapters on the queries and values of a base, as the method has them.
    fn new(
        base: &Net,
        batch: &'a Batch,
        rank: usize,
        method: Method,
    ) -> Result<Self, Box<dyn Error>> {
        let group = |layer: usize| {
            ["query", "value"].map(|part| format!("layers.{layer}.mha.{part}.weight"))
        };
        let weights: Vec<String> = (0..base.layers.len()).flat_map(group).collect();
        let lora =
            Lora::new(rank, 2.0 * rank as f64).set_param_group(ParamGroup::from_paths(weights));
        let head = ParamGroup::from_paths(vec!["head.weight", "head.bias"]);
        let mut base = base.clone();
        if method == Method::McDropout {
            base.dropout = McDropoutConfig::new(0.1).init();
        }
        let net = base.apply_lora(lora).unfreeze_group(head);
        let blob = BlobConfig::new().with_initial_std(0.01);
        let (net, elbo) = match method {
            Method::Lora | Method::McDropout => (net, ElboConfig::new(EXAMPLES)),
            Method::Blob => (blob.attach(net)?, blob.elbo(EXAMPLES, 10)),
            Method::Ivon => {
                let config = IvonConfig::new(100.0 * EXAMPLES as f64)
                    .with_weights(WeightFilter::path("**.lora.*"));
                (config.attach(net), ElboConfig::new(EXAMPLES))
            }
        };
        Ok(Self {
            batch,
            net: Some(net),
            adam: FusedAdamConfig::new().init(),
            elbo: elbo.init(),
            method,
            step: 0,
        })
    }

    fn step(&mut self) {
        let net = self
            .net
            .take()
            .unwrap_or_else(|| unreachable!("each step puts it back"));
        let likelihood = CategoricalLikelihoodConfig::new(SIZE[3]).init();
        let Batch { tokens, labels } = self.batch;
        let loss = self.elbo.loss(&net, self.step.into(), |net| {
            likelihood.nll(net.forward(tokens.clone()), labels.clone())
        });
        let mut grads = GradientsParams::from_grads(loss.loss.backward(), &net);
        let net = match self.method {
            Method::Ivon => Ivon::step(0.1, net, &mut grads),
            _ => net,
        };
        self.net = Some(self.adam.step(1e-3, net, grads));
        self.step += 1;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let device = Device::flex().autodiff();
    device.seed(1);
    let [features, inner, heads, classes] = SIZE;
    let encoder = TransformerEncoderConfig::new(features, inner, heads, options.layers.into());
    let base = Net {
        layers: encoder.with_dropout(0.0).init(&device).layers,
        dropout: McDropoutConfig::new(0.0).init(),
        head: LinearConfig::new(features, classes).init(&device),
    };
    let (texts, tokens) = (usize::from(options.batch), usize::from(options.tokens));
    let batch = Batch {
        tokens: Tensor::random(
            [texts, tokens, features],
            Distribution::Normal(0.0, 1.0),
            &device,
        ),
        labels: Tensor::<1, Int>::arange(0..texts as i64, &device).remainder_scalar(classes as i64),
    };
    let folder = std::env::temp_dir().join(format!("blitz-lora-step-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;

    let mut times = Method::ALL.map(|_| Vec::new());
    let (mut peaks, mut sizes) = ([0; Method::ALL.len()], [0; Method::ALL.len()]);
    // In turn, so that a slow minute is everybody's.
    for _ in 0..3 {
        for (at, (method, _)) in Method::ALL.into_iter().enumerate() {
            let before = Counting::alive();
            let mut training = Training::new(&base, &batch, options.rank.into(), method)?;
            for _ in 0..WARM_UP {
                training.step();
            }
            Counting::start_anew();
            for _ in 0..options.steps {
                times[at].push(timed(&device, || training.step()));
            }
            peaks[at] = Counting::peak() - before;
            let file = folder.join(format!("{at}.bpk"));
            if let Some(net) = &training.net {
                save_adapter(&net.valid(), &file)?;
            }
            sizes[at] = std::fs::metadata(&file)?.len();
        }
    }
    std::fs::remove_dir_all(&folder)?;

    println!(
        "LoRA of rank {} in {} layers, {texts} texts of {tokens} tokens\n",
        options.rank, options.layers
    );
    println!(
        "| method | step, ms | over LoRA's | most memory of a step, MB | adapter's file, kB |"
    );
    println!("|---|---|---|---|---|");
    let medians = times.map(|times| median(&times));
    for (at, (_, name)) in Method::ALL.into_iter().enumerate() {
        println!(
            "| {name} | {:.0} | {:.2} | {:.0} | {:.0} |",
            medians[at],
            medians[at] / medians[0],
            peaks[at] as f64 / 1e6,
            sizes[at] as f64 / 1e3
        );
    }
    Ok(())
}
