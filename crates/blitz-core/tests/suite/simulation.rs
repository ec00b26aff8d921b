//! Simulation-based calibration: where a truth comes from the very distribution that a posterior states, its rank among
//! draws of the posterior is uniform (Cook, Gelman & Rubin 2006; Talts, Betancourt, Simpson, Vehtari & Gelman 2018).
//!
//! A family that contains a conjugate model's posterior is given that, and the truth is the weight that made the data.
//! To any family the truth comes from its definition, simulated here in `f64`, without the library's sampler, density
//! or moments.

use blitz_core::deviation::rho_from_std;
use blitz_core::prelude::*;
use blitz_core::{
    FullRankNormalPosterior, LaplaceUnit, LocationScale, LowRankNormalPosterior,
    MatrixNormalPosterior, Noise, NormalUnit, Posterior, RadialUnit, StudentTUnit, UnitNoise,
};
use burn::module::Param;
use burn::tensor::{Device, Shape, Tensor, TensorData};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::net::{scalar, values};

/// Draws beside a truth, whose rank is one of one more.
const DRAWS: usize = 19;

/// Of a million right tables one is refused.
fn gate() -> f64 {
    ChiSquared::new(DRAWS as f64)
        .unwrap()
        .inverse_cdf(1.0 - 1e-6)
}

/// Pearson's statistic of ranks against equal counts.
fn chi_square(ranks: &[usize]) -> f64 {
    let mut counts = [0.0; DRAWS + 1];
    for rank in ranks {
        counts[*rank] += 1.0;
    }
    let expected = ranks.len() as f64 / counts.len() as f64;
    counts
        .iter()
        .map(|count| (count - expected).powi(2) / expected)
        .sum()
}

fn rank(truth: f64, draws: impl Iterator<Item = f64>) -> usize {
    draws.filter(|draw| *draw < truth).count()
}

#[track_caller]
fn assert_uniform(ranks: &[usize], what: &str) {
    let off = chi_square(ranks);
    assert!(
        off < gate(),
        "{what}: χ² {off} of {DRAWS} degrees of freedom"
    );
}

/// Standard normals of a stream that no posterior draws from.
struct Simulation(u32);

impl Simulation {
    fn normals(&mut self, n: usize) -> Vec<f64> {
        self.0 += 1;
        let mut normals = vec![0.0f32; n];
        NoiseKey::new(1618, 0, self.0).fill_standard_normal(0, &mut normals);
        normals.into_iter().map(f64::from).collect()
    }

    /// A value for each weight out of as many normals as `K`.
    fn values<const K: usize>(&mut self, n: usize, f: impl Fn([f64; K]) -> f64) -> Vec<f64> {
        let normals = self.normals(n * K);
        let (chunks, _) = normals.as_chunks::<K>();
        chunks.iter().map(|z| f(*z)).collect()
    }

    fn student_t(&mut self, n: usize, df: usize) -> Vec<f64> {
        let normals = self.normals(n * (df + 1));
        let chunks = normals.chunks(df + 1);
        chunks
            .map(|z| {
                let squares: f64 = z[1..].iter().map(|z| z * z).sum();
                z[0] / (squares / df as f64).sqrt()
            })
            .collect()
    }
}

/// The difference of two exponential values, each half the square of two normals.
fn laplace([a, b, c, d]: [f64; 4]) -> f64 {
    (a * a + b * b - c * c - d * d) / 2.0
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    Tensor::from_data(TensorData::new(values, Shape::new(shape)), &Device::flex())
}

fn param(values: &[f64]) -> Param<Tensor<1>> {
    Param::from_tensor(tensor(values, [values.len()]))
}

fn softplus(rho: f64) -> f64 {
    rho.exp().ln_1p()
}

/// The ranks of each weight's truth among draws of a posterior of independent weights.
fn ranks<Q: Posterior>(q: &Q, mu: &Tensor<2>, truth: &[f64]) -> Vec<usize> {
    let draw = |index| values(q.sample(mu.clone(), &mut Noise::new(NoiseKey::new(5, index, 0))));
    let draws: Vec<Vec<f32>> = (0..DRAWS as u64).map(draw).collect();
    let of = |(i, truth): (usize, &f64)| rank(*truth, draws.iter().map(|draw| f64::from(draw[i])));
    truth.iter().enumerate().map(of).collect()
}

const WEIGHTS: [usize; 2] = [400, 50];
const N: usize = WEIGHTS[0] * WEIGHTS[1];

/// That a family of independent weights is what it states, and that a tenth more or less would be seen.
fn assert_unit<U: UnitNoise>(
    unit: U,
    mut of_unit: impl FnMut(&mut Simulation) -> Vec<f64>,
    what: &str,
) {
    let mut simulation = Simulation(0);
    let mu = simulation.normals(N);
    let rho: Vec<f64> = simulation.values(N, |[z]| 0.8 * z - 1.0);
    let z = of_unit(&mut simulation);
    let q = LocationScale {
        rho: param(&rho),
        unit,
    };
    let truth = |factor: f64| -> Vec<f64> {
        (0..N)
            .map(|i| mu[i] + factor * softplus(rho[i]) * z[i])
            .collect()
    };
    let mu = tensor(&mu, WEIGHTS);
    assert_uniform(&ranks(&q, &mu, &truth(1.0)), what);
    for factor in [0.9, 1.1] {
        let off = chi_square(&ranks(&q, &mu, &truth(factor)));
        assert!(
            off > gate(),
            "{what}: {factor} of the deviation is not seen, χ² {off}"
        );
    }
}

#[test]
fn truths_of_each_family_of_independent_weights_have_uniform_ranks() {
    assert_unit(NormalUnit {}, |simulation| simulation.normals(N), "normal");
    assert_unit(
        LaplaceUnit {},
        |simulation| simulation.values(N, laplace),
        "Laplace",
    );
    for df in [3, 8] {
        let unit = StudentTUnit { df: df as f64 };
        assert_unit(
            unit,
            |simulation| simulation.student_t(N, df),
            "Student's t",
        );
    }
}

/// Regressions of one weight each: `y = x w + noise`, with a prior `w ~ N(0, 1.5²)` and a noise of 0.5. The i-th sees
/// inputs of squared length `lengths[i]`; weight and noise are in units of `units[i]`.
struct Regressions {
    truth: Vec<f64>,
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Regressions {
    fn simulate(lengths: &[f64], units: &[f64]) -> Self {
        const PRIOR: f64 = 1.5;
        const NOISE: f64 = 0.5;
        let n = lengths.len();
        let mut simulation = Simulation(100);
        let (w, noise) = (simulation.normals(n), simulation.normals(n));
        let mut all = Self {
            truth: Vec::new(),
            mean: Vec::new(),
            std: Vec::new(),
        };
        for i in 0..n {
            let w = PRIOR * w[i];
            let xy = lengths[i] * w + lengths[i].sqrt() * NOISE * noise[i];
            let precision = lengths[i] / NOISE.powi(2) + PRIOR.powi(-2);
            all.truth.push(w * units[i]);
            all.mean.push(xy / NOISE.powi(2) / precision * units[i]);
            all.std.push(precision.sqrt().recip() * units[i]);
        }
        all
    }
}

#[test]
fn the_weights_of_orthogonal_regressions_have_uniform_ranks_in_their_mean_field_posterior() {
    let lengths: Vec<f64> = (0..N)
        .map(|i| 0.01 * 1.7f64.powi((i % 13) as i32))
        .collect();
    let problems = Regressions::simulate(&lengths, &vec![1.0; N]);
    let rho: Vec<f64> = problems.std.iter().map(|std| rho_from_std(*std)).collect();
    let q = LocationScale {
        rho: param(&rho),
        unit: NormalUnit {},
    };
    let mean = tensor(&problems.mean, WEIGHTS);
    assert_uniform(&ranks(&q, &mean, &problems.truth), "mean field");
}

#[test]
fn the_weights_of_regressions_with_several_targets_have_uniform_ranks_in_their_matrix_normal_posterior()
 {
    // The inputs decide a row's deviation, the unit of a target its column's.
    let [rows, columns] = WEIGHTS;
    let length = |row: usize| 0.01 * 1.7f64.powi((row % 13) as i32);
    let unit = |column: usize| 0.3 * 1.1f64.powi((column % 20) as i32);
    let lengths: Vec<f64> = (0..N).map(|i| length(i / columns)).collect();
    let units: Vec<f64> = (0..N).map(|i| unit(i % columns)).collect();
    let problems = Regressions::simulate(&lengths, &units);
    let row_std = |row: usize| problems.std[row * columns] / unit(0);
    let row_rho: Vec<f64> = (0..rows).map(|row| rho_from_std(row_std(row))).collect();
    let column_rho: Vec<f64> = (0..columns)
        .map(|column| rho_from_std(unit(column)))
        .collect();
    let q = MatrixNormalPosterior {
        row_rho: param(&row_rho),
        column_rho: param(&column_rho),
    };
    let mean = tensor(&problems.mean, WEIGHTS);
    assert_uniform(&ranks(&q, &mean, &problems.truth), "matrix normal");
}

/// Ranks of what is said of several weights together: each of them, their sum, their difference and their density.
#[derive(Default)]
struct Joint {
    ranks: [Vec<usize>; 4],
}

impl Joint {
    fn add<Q: Posterior>(&mut self, q: &Q, mu: &[f64], truth: &[f64], repetition: u64) {
        let mu: Tensor<1> = tensor(mu, [mu.len()]);
        let statistics = |weight: Tensor<1>| -> [f64; 4] {
            let w: Vec<f64> = values(weight.clone()).into_iter().map(f64::from).collect();
            let log_density = scalar(q.log_density(mu.clone(), weight));
            [w[0], w.iter().sum(), w[0] - w[1], log_density]
        };
        let of_truth = statistics(tensor(truth, [truth.len()]));
        let draw = |index: u64| {
            let key = NoiseKey::new(6, repetition * DRAWS as u64 + index, 0);
            statistics(q.sample(mu.clone(), &mut Noise::new(key)))
        };
        let draws: Vec<[f64; 4]> = (0..DRAWS as u64).map(draw).collect();
        for (k, ranks) in self.ranks.iter_mut().enumerate() {
            ranks.push(rank(of_truth[k], draws.iter().map(|draw| draw[k])));
        }
    }

    fn assert_uniform(&self, what: &str) {
        for (ranks, of) in
            self.ranks
                .iter()
                .zip(["a weight", "the sum", "a difference", "the density"])
        {
            assert_uniform(ranks, &format!("{what}, {of}"));
        }
    }
}

const REPETITIONS: u64 = 400;

#[test]
fn the_weights_of_regressions_on_correlated_inputs_have_uniform_ranks_in_their_low_rank_posterior()
{
    // Two weights, whose covariance is λ₂ I + (λ₁ − λ₂) u uᵀ: a diagonal and one direction.
    let (prior, noise) = (1.5f64, 0.5f64);
    let mut simulation = Simulation(200);
    let mut joint = Joint::default();
    for repetition in 0..REPETITIONS {
        let (x, e, w) = (
            simulation.normals(8),
            simulation.normals(4),
            simulation.normals(2),
        );
        let w: Vec<f64> = w.iter().map(|w| prior * w).collect();
        // The second input is mostly the first.
        let x: Vec<[f64; 2]> = x
            .chunks(2)
            .map(|x| [x[0], 0.9 * x[0] + 0.3 * x[1]])
            .collect();
        let y: Vec<f64> = (0..4)
            .map(|i| x[i][0] * w[0] + x[i][1] * w[1] + noise * e[i])
            .collect();
        let xx = |a: usize, b: usize| x.iter().map(|x| x[a] * x[b]).sum::<f64>() / noise.powi(2);
        let xy = |a: usize| x.iter().zip(&y).map(|(x, y)| x[a] * y).sum::<f64>() / noise.powi(2);
        let (p, r, s) = (
            xx(0, 0) + prior.powi(-2),
            xx(0, 1),
            xx(1, 1) + prior.powi(-2),
        );
        let determinant = p * s - r * r;
        let (a, b, d) = (s / determinant, -r / determinant, p / determinant);
        let mean = [a * xy(0) + b * xy(1), b * xy(0) + d * xy(1)];
        let (middle, radius) = ((a + d) / 2.0, (((a - d) / 2.0).powi(2) + b * b).sqrt());
        let direction = [b, middle + radius - a];
        let length = direction[0].hypot(direction[1]);
        let factor = direction.map(|u| u / length * (2.0 * radius).sqrt());
        let q = LowRankNormalPosterior {
            rho: param(&[rho_from_std((middle - radius).sqrt()); 2]),
            factor: Param::from_tensor(tensor(&factor, [2, 1])),
        };
        joint.add(&q, &mean, &w, repetition);
    }
    joint.assert_uniform("low rank");
}

#[test]
fn truths_of_weights_that_depend_on_each_other_have_uniform_ranks_and_densities() {
    let n = 6;
    let mut simulation = Simulation(10_000);
    let mut all: [Joint; 5] = Default::default();
    for repetition in 0..REPETITIONS {
        let mu = simulation.normals(n);
        let rho: Vec<f64> = simulation.values(n, |[z]| 0.8 * z - 1.0);
        let at =
            |z: &[f64]| -> Vec<f64> { (0..n).map(|i| mu[i] + softplus(rho[i]) * z[i]).collect() };
        let [radial, low_rank, full_rank, heavy, sharp] = &mut all;

        let (direction, length) = (simulation.normals(n), simulation.normals(1)[0]);
        let norm = direction.iter().map(|z| z * z).sum::<f64>().sqrt();
        let z: Vec<f64> = direction.iter().map(|z| z / norm * length).collect();
        let q = LocationScale {
            rho: param(&rho),
            unit: RadialUnit {},
        };
        radial.add(&q, &mu, &at(&z), repetition);

        let (factor, shared) = (simulation.normals(2 * n), simulation.normals(2));
        let factor: Vec<f64> = factor.iter().map(|u| 0.4 * u).collect();
        let mut truth = at(&simulation.normals(n));
        for (truth, u) in truth.iter_mut().zip(factor.chunks(2)) {
            *truth += u[0] * shared[0] + u[1] * shared[1];
        }
        let q = LowRankNormalPosterior {
            rho: param(&rho),
            factor: Param::from_tensor(tensor(&factor, [n, 2])),
        };
        low_rank.add(&q, &mu, &truth, repetition);

        // One column of all weights.
        let (factor, z) = (simulation.normals(n * n), simulation.normals(n));
        let factor: Vec<f64> = factor.iter().map(|u| 0.4 * u).collect();
        let mixed: Vec<f64> = (0..n)
            .map(|i| z[i] + (0..i).map(|k| factor[i * n + k] * z[k]).sum::<f64>())
            .collect();
        let q = FullRankNormalPosterior {
            rho: param(&rho),
            factor: Param::from_tensor(tensor(&factor, [1, n, n])),
        };
        full_rank.add(&q, &mu, &at(&mixed), repetition);

        let q = LocationScale {
            rho: param(&rho),
            unit: StudentTUnit { df: 3.0 },
        };
        heavy.add(&q, &mu, &at(&simulation.student_t(n, 3)), repetition);

        let q = LocationScale {
            rho: param(&rho),
            unit: LaplaceUnit {},
        };
        sharp.add(&q, &mu, &at(&simulation.values(n, laplace)), repetition);
    }
    for (joint, what) in
        all.iter()
            .zip(["radial", "low rank", "full rank", "Student's t", "Laplace"])
    {
        joint.assert_uniform(what);
    }
}
