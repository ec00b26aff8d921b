//! The KL of one layer: whether training moves it.

use std::sync::{Arc, OnceLock};

use blitz_layers::blitz_core::at_least_f32;
use burn::tensor::{Tensor, TensorReadError};

use super::running::{MeanSum, Running, running_metric};

/// The KL of each weight tensor at one step.
#[derive(Debug, Clone)]
pub struct LayerKlInput {
    terms: Vec<(String, Tensor<1>)>,
}

impl LayerKlInput {
    /// The path of each weight tensor, and its KL, of shape `[1]`, in nats.
    pub fn new(terms: Vec<(String, Tensor<1>)>) -> Self {
        Self { terms }
    }
}

/// The KL of the weights of one layer from their priors, in nats: where a posterior leaves its prior, layer by layer.
///
/// The layer is a path in the network, such as `"encoder"` or `"encoder.linear1.weight"`; all weights at it and below
/// it count. A layer that the data say nothing about goes to zero. [`from_start`](Self::from_start) shows the change
/// since the first step instead: what stays at zero, training does not reach. NaN if there is no weight with a
/// posterior at that path.
///
/// A KL that is estimated, of a pair without a closed form, is that of the step's first draw.
///
/// ```
/// use blitz_train::prelude::*;
/// use blitz_train::LayerKlMetric;
/// use burn::train::metric::Metric;
///
/// // SupervisedTraining::new(..).metrics(metrics)
/// let metrics = (KlMetric::new(), LayerKlMetric::new("layer1"), LayerKlMetric::new("layer2").from_start());
/// assert_eq!(*metrics.1.name(), "KL of layer1");
/// assert_eq!(*metrics.2.name(), "KL change of layer2");
/// assert_eq!(*LayerKlMetric::new("").name(), "KL of all layers");
/// ```
#[derive(Debug, Clone)]
pub struct LayerKlMetric {
    running: Running<MeanSum>,
    path: String,
    /// The first value, if the change is asked for; shared with the validation, whose first value is an epoch later.
    start: Option<Arc<OnceLock<f64>>>,
}

impl LayerKlMetric {
    /// Of the weights at `path` and below it; `""` is all.
    pub fn new(path: impl Into<String>) -> Self {
        let path = path.into();
        Self {
            running: named(format!("KL of {}", layers(&path))),
            path,
            start: None,
        }
    }

    /// The change of the KL since the first step that the metric sees: of a training that goes on, since it went on.
    ///
    /// Make one for each training: clones share the start.
    #[must_use]
    pub fn from_start(self) -> Self {
        Self {
            running: named(format!("KL change of {}", layers(&self.path))),
            start: Some(Arc::default()),
            ..self
        }
    }

    fn description(&self) -> String {
        let of = format!(
            "KL divergence of the weights of {} from their priors",
            layers(&self.path)
        );
        match self.start {
            Some(_) => format!("{of}, less its value at the first step"),
            None => of,
        }
    }

    fn sums(&self, item: &LayerKlInput) -> Result<MeanSum, TensorReadError> {
        let mut kl = None;
        for (path, value) in &item.terms {
            if is_within(path, &self.path) {
                let value = at_least_f32(value.clone()).try_into_scalar::<f64>()?;
                kl = Some(kl.unwrap_or(0.0) + value);
            }
        }
        let kl = kl.unwrap_or(f64::NAN);
        let start = self
            .start
            .as_ref()
            .map_or(0.0, |start| *start.get_or_init(|| kl));
        Ok(MeanSum {
            sum: kl - start,
            count: 1,
        })
    }
}

fn named(name: String) -> Running<MeanSum> {
    Running::new(name, MeanSum::default()).unit("nats")
}

fn layers(path: &str) -> &str {
    match path {
        "" => "all layers",
        path => path,
    }
}

/// Whether a weight's path is `layer` or lies below it.
fn is_within(path: &str, layer: &str) -> bool {
    let Some(rest) = path.strip_prefix(layer) else {
        return false;
    };
    layer.is_empty() || rest.is_empty() || rest.starts_with('.')
}

running_metric!(LayerKlMetric, LayerKlInput);
