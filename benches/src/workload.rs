//! The trainings that are timed, here and beside the Python peers.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};

use crate::net::{Input, Layers, Net, known_labels, known_values};

/// A network, the data of one batch and the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// How it is called on a command line.
    pub name: &'static str,
    /// The network.
    pub shape: Shape,
    /// Examples of a batch.
    pub batch: usize,
    /// Draws of a Bayesian training step.
    pub samples: usize,
    /// Examples of the data set that the KL is divided by.
    pub examples: usize,
}

/// What kind of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Linear layers from each width to the next: classes if the last width is 10, else numbers.
    Mlp(&'static [usize]),
    /// LeNet-5 on images of 28 × 28.
    LeNet,
    /// An LSTM from so many inputs to so many hidden units, over so many steps.
    Lstm([usize; 3]),
}

/// The training steps of the comparison with the Python peers.
pub const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "mlp-13-512-1",
        shape: Shape::Mlp(&[13, 512, 1]),
        batch: 16,
        samples: 3,
        examples: 379,
    },
    Workload {
        name: "mlp-784-400-400-10",
        shape: Shape::Mlp(&[784, 400, 400, 10]),
        batch: 128,
        samples: 1,
        examples: 60_000,
    },
    Workload {
        name: "mlp-784-1200-1200-10",
        shape: Shape::Mlp(&[784, 1200, 1200, 10]),
        batch: 128,
        samples: 1,
        examples: 60_000,
    },
    Workload {
        name: "lenet-5",
        shape: Shape::LeNet,
        batch: 64,
        samples: 1,
        examples: 60_000,
    },
    Workload {
        name: "lstm-32-128",
        shape: Shape::Lstm([32, 128, 32]),
        batch: 32,
        samples: 1,
        examples: 10_000,
    },
];

impl Workload {
    /// The one of that name; any `mlp-784-300-10` is another, with batches of 128.
    pub fn named(name: &str) -> Option<Self> {
        let known = WORKLOADS.into_iter().find(|workload| workload.name == name);
        known.or_else(|| {
            let widths = name.strip_prefix("mlp-")?.split('-').map(str::parse);
            let widths: Vec<usize> = widths.collect::<Result<_, _>>().ok()?;
            (widths.len() >= 2 && widths.iter().all(|width| *width > 0)).then(|| Self {
                name: "mlp",
                // A benchmark asks for few.
                shape: Shape::Mlp(widths.leak()),
                batch: 128,
                samples: 1,
                examples: 60_000,
            })
        })
    }

    /// The network, with Burn's initial weights.
    pub fn net(&self, layers: Layers, device: &Device) -> Net {
        match self.shape {
            Shape::Mlp(widths) => Net::mlp(widths, layers, device),
            Shape::LeNet => Net::lenet(layers, device),
            Shape::Lstm([input, hidden, _]) => Net::lstm(input, hidden, layers, device),
        }
    }

    /// A batch, the same wherever it is made.
    pub fn batch(&self, device: &Device) -> LabeledBatch {
        let rows = |width| known_values([self.batch, width], device);
        let labels = || Target::Labels(known_labels(self.batch, device));
        let (input, target) = match self.shape {
            Shape::Mlp(widths) => {
                let [input, outputs] = [widths[0], widths[widths.len() - 1]];
                let target = match outputs {
                    10 => labels(),
                    _ => Target::Values(rows(outputs)),
                };
                (Input::Rows(rows(input)), target)
            }
            Shape::LeNet => (
                Input::Images(known_values([self.batch, 1, 28, 28], device)),
                labels(),
            ),
            Shape::Lstm([input, hidden, steps]) => (
                Input::Sequences(known_values([self.batch, steps, input], device)),
                Target::Values(rows(hidden)),
            ),
        };
        LabeledBatch { input, target }
    }
}

/// A batch of a [`Workload`].
#[derive(Debug, Clone)]
pub struct LabeledBatch {
    /// The network's input.
    pub input: Input,
    /// What it is to answer.
    pub target: Target,
}

/// What a network is to answer.
#[derive(Debug, Clone)]
pub enum Target {
    /// A class of each example: the loss is the cross-entropy.
    Labels(Tensor<1, Int>),
    /// Numbers of each example: the loss is the mean square of the differences.
    Values(Tensor<2>),
}

impl LabeledBatch {
    /// The loss of each example, of shape `[examples]`.
    pub fn nll(&self, net: &Net) -> Tensor<1> {
        let output = net.forward(&self.input);
        match &self.target {
            Target::Labels(labels) => {
                let labels = labels.clone().unsqueeze_dim(1);
                log_softmax(output, 1)
                    .gather(1, labels)
                    .neg()
                    .squeeze_dim(1)
            }
            Target::Values(values) => (output - values.clone())
                .square()
                .mean_dim(1)
                .squeeze_dim(1),
        }
    }
}
