//! The KL of a pair, posterior and prior: which pairs have a closed form, which are computed in one pass over the
//! weights, and what becomes of the rest.
//!
//! The only place that decides it. A pair is told by the forms of the two; `KL = −H(q) − Σ E_q[ln p(w_i)]` serves every
//! pair of a posterior with an entropy and a prior with an expected log density.

use burn::tensor::Tensor;

use super::shared_scale::SharedScale;
use super::{KlEstimator, KlTerm};
use crate::family::deviation::{log_std_from_rho, variance_from_rho};
use crate::family::posterior::{Posterior, PosteriorForm};
use crate::family::prior::{Prior, PriorForm, expected_log_density_at_best_scale};
use crate::family::{Marginals, Noise, at_least_f32, in_one_type, in_type_of};
use crate::kernels::formula::{NormalSum, ScaleMixture};
use crate::kernels::{self, linked::KlLink};
use crate::math::NORMAL_ENTROPY;

/// A KL in closed form.
pub(crate) struct ClosedForm {
    /// Summed over the weights, of shape `[1]`; without the expectation under a scale that is shared.
    pub value: Tensor<1>,
    /// This tensor's part in a scale that several tensors share.
    pub share: Option<SharedScale>,
}

/// `KL(q ‖ p)` in closed form, or `None` if the pair has none.
pub(crate) fn closed_form<Q: Posterior, P: Prior, const D: usize>(
    q: &Q,
    p: &P,
    mu: &Tensor<D>,
) -> Option<ClosedForm> {
    let prior = p.form();
    let of_sums = match q.form() {
        PosteriorForm::Normal { rho } => of_normal(mu, &prior, &|mu, sum| {
            let (mu, rho) = in_one_type(mu, &rho);
            kernels::normal_sum(&mu, &rho, sum)
        }),
        PosteriorForm::Precise { h, precision } => {
            let mu = at_least_f32(mu.clone());
            let h = in_type_of(h, &mu);
            of_normal(&mu, &prior, &|mu, sum| {
                kernels::precise_sum(mu, &h, precision, sum)
            })
        }
        PosteriorForm::MatrixNormal {
            row_rho,
            column_rho,
        } => of_normal(mu, &prior, &|mu, sum| {
            Some(rank_one_sum(mu, [&row_rho, &column_rho], sum))
        }),
        PosteriorForm::Other => None,
    };
    if of_sums.is_some() {
        return of_sums;
    }
    // Known before anything is computed.
    if is_mixture(&prior) {
        return None;
    }
    let mu = at_least_f32(mu.clone());
    let marginals = q.marginals(mu);
    let entropy = q.entropy(&marginals)?;
    if let Some(share) = shared_scale(&prior, &marginals) {
        return Some(ClosedForm {
            value: entropy.total().neg(),
            share: Some(share),
        });
    }
    let expected = p.expected_log_density(&marginals)?;
    Some(ClosedForm {
        value: entropy.and_of_weights(expected).total().neg(),
        share: None,
    })
}

/// Whether the pair has a closed form, which is computed only if the forms of the two don't tell.
pub(crate) fn has_closed_form<Q: Posterior, P: Prior, const D: usize>(
    q: &Q,
    p: &P,
    mu: &Tensor<D>,
) -> bool {
    let prior = p.form();
    if is_mixture(&prior) {
        return false;
    }
    let has_sums = match q.form() {
        PosteriorForm::Normal { rho } => kernels::has_sums(mu, &rho),
        PosteriorForm::Precise { h, .. } => {
            let mu = at_least_f32(mu.clone());
            kernels::has_sums(&mu, &in_type_of(h, &mu))
        }
        PosteriorForm::MatrixNormal { .. } => true,
        PosteriorForm::Other => false,
    };
    has_sums && is_normal(&prior) || closed_form(q, p, mu).is_some()
}

/// Whether the KL of normals to the prior is one of [sums](of_normal).
fn is_normal(prior: &PriorForm) -> bool {
    match prior {
        PriorForm::Normal { .. }
        | PriorForm::LearnedNormal { .. }
        | PriorForm::BestNormal { .. } => true,
        PriorForm::Centered { prior, .. } => is_normal(prior),
        _ => false,
    }
}

/// Whether the prior is a scale mixture, of which no expected log density is known.
fn is_mixture(prior: &PriorForm) -> bool {
    match prior {
        PriorForm::ScaleMixture { .. } => true,
        PriorForm::Centered { prior, .. } => is_mixture(prior),
        _ => false,
    }
}

/// The part of weights with these marginals in a scale that several tensors share, if the prior has such a scale.
fn shared_scale<const D: usize>(prior: &PriorForm, q: &Marginals<D>) -> Option<SharedScale> {
    match prior {
        PriorForm::BestNormal { group: Some(group) } => Some(SharedScale {
            group: group.clone(),
            weights: q.mean.shape().num_elements(),
            second_moment: q.second_moments(),
        }),
        PriorForm::Centered { center, prior } => {
            let mean = moved(&q.mean, center);
            shared_scale(prior, &Marginals { mean, ..q.clone() })
        }
        _ => None,
    }
}

/// The KL of independent normals from sums over them, each in one pass over the weights; `None` where the device or the
/// prior has none.
fn of_normal<const D: usize>(
    mu: &Tensor<D>,
    prior: &PriorForm,
    sum: &dyn Fn(&Tensor<D>, NormalSum) -> Option<Tensor<1>>,
) -> Option<ClosedForm> {
    let n = mu.shape().num_elements();
    let mut share = None;
    let value = match prior {
        PriorForm::Normal { std } => sum(mu, NormalSum::kl(*std))?,
        PriorForm::LearnedNormal { log_std } => {
            let second_moment = sum(mu, NormalSum::SECOND_MOMENT)?;
            let log_stds = sum(mu, NormalSum::LOG_STD)?;
            let log_std = in_type_of(log_std.clone(), &second_moment);
            let half_precision = (log_std.clone() * -2.0).exp() * 0.5;
            second_moment * half_precision + (log_std - 0.5) * n as f64 - log_stds
        }
        PriorForm::BestNormal { group } => {
            let second_moment = sum(mu, NormalSum::SECOND_MOMENT)?;
            let log_stds = sum(mu, NormalSum::LOG_STD)?;
            let entropy = log_stds + NORMAL_ENTROPY * n as f64;
            match group {
                None => (entropy + expected_log_density_at_best_scale(second_moment, n)).neg(),
                Some(group) => {
                    share = Some(SharedScale {
                        group: group.clone(),
                        second_moment,
                        weights: n,
                    });
                    entropy.neg()
                }
            }
        }
        // A KL stays the same when both of its densities are moved.
        PriorForm::Centered { center, prior } => {
            return of_normal(&moved(mu, center), prior, sum);
        }
        _ => return None,
    };
    Some(ClosedForm { value, share })
}

/// A sum over normals `N(μ_ij, a_i² b_j²)`: all of it but `Σ μ²` is of sums over rows and over columns alone.
fn rank_one_sum<const D: usize>(
    mu: &Tensor<D>,
    rhos: [&Tensor<1>; 2],
    sum: NormalSum,
) -> Tensor<1> {
    let mu = at_least_f32(mu.clone());
    let [rows, columns] = rhos.map(|rho| in_type_of(rho.clone(), &mu));
    let [n_rows, n_columns] = [&rows, &columns].map(|rho| rho.dims()[0] as f64);
    let mut total = Tensor::zeros([1], (&mu.device(), mu.dtype()));
    if sum.log_std != 0.0 {
        let [of_rows, of_columns] =
            [&rows, &columns].map(|rho| log_std_from_rho(rho.clone()).sum());
        total = total + (of_rows * n_columns + of_columns * n_rows) * sum.log_std;
    }
    if sum.second_moment != 0.0 {
        let variances = variance_from_rho(rows).sum() * variance_from_rho(columns).sum();
        let squares = kernels::square_sum(&mu).unwrap_or_else(|| mu.square().sum());
        total = total + (squares + variances) * sum.second_moment;
    }
    total + sum.constant * n_rows * n_columns
}

/// `ln q(w) − ln p(w)` at the weight that `noise` makes, or at its reflection, in one pass over the parameters; `None`
/// where the weight has to be made.
pub(crate) fn at_draw<Q: Posterior, P: Prior, const D: usize>(
    q: &Q,
    p: &P,
    mu: &Tensor<D>,
    mut noise: Noise,
    is_reflected: bool,
) -> Option<Tensor<1>> {
    let PosteriorForm::Normal { rho } = q.form() else {
        return None;
    };
    let (mu, prior) = match p.form() {
        PriorForm::Centered { center, prior } => (moved(mu, &center), *prior),
        prior => (mu.clone(), prior),
    };
    let PriorForm::ScaleMixture { pi, sigma1, sigma2 } = prior else {
        return None;
    };
    // Both densities are even: that at −(μ − σ ε) is that at μ − σ ε.
    let mu = if is_reflected { mu.neg() } else { mu };
    let (mu, rho) = in_one_type(&mu, &rho);
    noise.fused(mu.shape().num_elements(), |span| {
        let mixture = ScaleMixture::new(pi, sigma1, sigma2);
        kernels::mixture_kl(&mu, &rho, span, mixture)
    })
}

/// `ln q(weight) − ln p(weight)`, of shape `[1]`, at a weight that has not been rounded to 16 bits.
pub(crate) fn at_weight<Q: Posterior, P: Prior, const D: usize>(
    q: &Q,
    p: &P,
    mu: Tensor<D>,
    weight: Tensor<D>,
) -> Tensor<1> {
    let log_q = q.log_density(at_least_f32(mu), weight.clone());
    log_q - p.log_density(weight)
}

/// A weight together with its KL in closed form, in one pass over the parameters; `None` where the pair or the device
/// has none.
pub(crate) fn draw_with_kl<Q: Posterior, P: Prior, const D: usize>(
    q: &Q,
    p: &P,
    mu: &Tensor<D>,
    noise: &mut Noise,
) -> Option<(Tensor<D>, KlTerm)> {
    let (PosteriorForm::Normal { rho }, PriorForm::Normal { std }) = (q.form(), p.form()) else {
        return None;
    };
    let link = KlLink::default();
    let (location, rho) = in_one_type(mu, &rho);
    let (weight, kl) = noise.fused(mu.shape().num_elements(), |span| {
        kernels::draw_and_sum(&location, &rho, span, NormalSum::kl(std), link.clone())
    })?;
    let term = KlTerm::new(kl, KlEstimator::ClosedForm);
    Some((
        in_type_of(weight, mu),
        KlTerm {
            link: Some(link),
            ..term
        },
    ))
}

/// `mu − center`, in `f32` at least: a difference of two numbers of 16 bits need not be one.
fn moved<const D: usize>(mu: &Tensor<D>, center: &Tensor<1>) -> Tensor<D> {
    let mu = at_least_f32(mu.clone());
    let center = in_type_of(center.clone(), &mu).reshape(mu.shape());
    mu - center
}
