//! Where a posterior is, seen from its prior and from where it started.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::Tensor;

use super::{BayesianModule, WeightMarginals, kl, marginals};
use crate::attach::{Walk, attachments};
use crate::family::prior::PriorForm;

/// How far the posterior of one weight tensor is from its prior, and from a start that was remembered.
///
/// A posterior that training did not reach stays at its start; one that the data say nothing about goes to its prior.
/// Neither shows in a loss.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WeightMovement {
    /// The path of the weight, e.g. `"encoder.linear1.weight"`; the first one of a weight that is tied.
    pub path: String,
    /// The number of weights.
    pub weights: usize,
    /// `KL(q ‖ p)`, summed over the weights, in nats; of a pair without a closed form an estimate by one draw, always
    /// the same.
    pub kl: f64,
    /// `|μ − μ₀| / σ₀` of each weight, in deviations of its prior. `None` if the prior has no known deviation: it is
    /// known of normal priors, fixed, learned or empirical of this tensor alone, of scale mixtures, and of these about
    /// a centre.
    pub from_prior: Option<Vec<f32>>,
    /// From the start, if it is known.
    pub from_start: Option<FromStart>,
}

/// How far each weight of a tensor is from its start.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FromStart {
    /// `|μ − μ₀| / σ₀` of each weight, in deviations that its posterior had at the start.
    pub shifts: Vec<f32>,
    /// `ln σ/σ₀` of each weight: below 0 where it is surer than at the start.
    pub log_scales: Vec<f32>,
}

impl WeightMovement {
    /// A root mean square shift below this, in deviations, is none: no prediction of fewer than 10⁴ draws, whose mean
    /// is that uncertain, could show it.
    pub const RESOLUTION: f64 = 0.01;

    /// The KL of a weight on average, in nats: about 0 where the posterior is its prior.
    pub fn kl_per_weight(&self) -> f64 {
        self.kl / self.weights.max(1) as f64
    }

    /// Whether the weights are where they started, in mean and deviation: both root mean squares of the
    /// [shifts](FromStart::shifts) and of the [logarithms](FromStart::log_scales) are below
    /// [`RESOLUTION`](Self::RESOLUTION). `None` without a start.
    pub fn has_stayed(&self) -> Option<bool> {
        let start = self.from_start.as_ref()?;
        let below = |values: &[f32]| root_mean_square(values) < Self::RESOLUTION;
        Some(below(&start.shifts) && below(&start.log_scales))
    }
}

fn root_mean_square(values: &[f32]) -> f64 {
    let squares = values.iter().map(|value| f64::from(*value).powi(2));
    (squares.sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// The movements of all posteriors, in the order of the traversal.
///
/// # Panics
///
/// Panics if a weight of the start has another number of weights.
pub(super) fn of<M: Module>(module: &M, start: Option<&[WeightMarginals]>) -> Vec<WeightMovement> {
    // A draw of its own: an estimate is the same each time, and takes nothing from the process-wide stream.
    let mut kls: HashMap<String, f64> = module.with_draw(0, 0, |module| {
        let terms = kl::terms(module).into_iter();
        terms
            .map(|term| (term.path, term.value.into_scalar::<f64>()))
            .collect()
    });
    let mut priors = priors(module);
    let started: HashMap<&str, &WeightMarginals> = start
        .unwrap_or_default()
        .iter()
        .map(|weight| (weight.path.as_str(), weight))
        .collect();
    let movement = |now: WeightMarginals| {
        let prior = priors
            .remove(&now.path)
            .and_then(|form| Reference::of(form, &now.means, &now.std_devs));
        let start = started.get(now.path.as_str());
        WeightMovement {
            weights: now.means.len(),
            kl: kls.remove(&now.path).unwrap_or(0.0),
            from_prior: prior.map(|prior| prior.shifts(&now.means)),
            from_start: start.map(|start| from_start(&now, start)),
            path: now.path,
        }
    };
    marginals::of(module).into_iter().map(movement).collect()
}

/// The priors of all weights by the paths of these.
fn priors<M: Module>(module: &M) -> HashMap<String, PriorForm> {
    let walk = Walk::of(module);
    let attachments = attachments(module);
    let forms = walk.posteriors().filter_map(|(weight, id)| {
        let mut all = attachments.iter();
        let attachment = all.find(|attachment| attachment.id() == id)?;
        Some((weight.path().to_string(), attachment.prior_form()))
    });
    forms.collect()
}

/// A prior's location and deviation.
struct Reference {
    /// None for zero.
    center: Option<Vec<f32>>,
    std: f64,
}

impl Reference {
    fn of(form: PriorForm, means: &[f32], std_devs: &[f32]) -> Option<Self> {
        let at_zero = |std: f64| Some(Self { center: None, std });
        match form {
            PriorForm::Normal { std } => at_zero(std),
            PriorForm::LearnedNormal { log_std } => at_zero(log_std.into_scalar::<f64>().exp()),
            // The least KL is at the root of the mean second moment.
            PriorForm::BestNormal { group: None } => {
                let moments = means.iter().zip(std_devs);
                let moments = moments.map(|(m, s)| f64::from(*m).powi(2) + f64::from(*s).powi(2));
                let sum: f64 = moments.sum();
                at_zero((sum / means.len().max(1) as f64).sqrt())
            }
            PriorForm::ScaleMixture { pi, sigma1, sigma2 } => {
                at_zero((pi * sigma1.powi(2) + (1.0 - pi) * sigma2.powi(2)).sqrt())
            }
            PriorForm::Centered { center, prior } => {
                let center = host(center);
                let left = means.iter().zip(&center).map(|(mean, c)| mean - c);
                Self::of(*prior, &left.collect::<Vec<_>>(), std_devs).map(|prior| Self {
                    center: Some(match prior.center {
                        None => center,
                        Some(inner) => center.iter().zip(inner).map(|(c, i)| c + i).collect(),
                    }),
                    ..prior
                })
            }
            PriorForm::BestNormal { group: Some(_) } | PriorForm::Other => None,
        }
    }

    fn shifts(&self, means: &[f32]) -> Vec<f32> {
        let center = |i: usize| self.center.as_ref().map_or(0.0, |center| center[i]);
        let means = means.iter().enumerate();
        means
            .map(|(i, mean)| in_deviations(mean - center(i), self.std as f32))
            .collect()
    }
}

fn from_start(now: &WeightMarginals, start: &WeightMarginals) -> FromStart {
    let (got, expected) = (start.means.len(), now.means.len());
    assert!(
        got == expected,
        "the start of {} has {got} weights, it has {expected}",
        now.path
    );
    let means = now.means.iter().zip(&start.means);
    let pairs = means.zip(&start.std_devs);
    let deviations = now.std_devs.iter().zip(&start.std_devs);
    FromStart {
        shifts: pairs
            .map(|((now, start), std)| in_deviations(now - start, *std))
            .collect(),
        log_scales: deviations
            .map(|(now, start)| {
                if now == start {
                    0.0
                } else {
                    (now / start).ln()
                }
            })
            .collect(),
    }
}

/// Zero where nothing moved, whatever the deviation.
fn in_deviations(difference: f32, std: f32) -> f32 {
    if difference == 0.0 {
        return 0.0;
    }
    difference.abs() / std
}

fn host(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
