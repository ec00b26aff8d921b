//! The likelihoods for outputs, parameters and targets of every float type, against their densities in `f64` on the
//! host.

use std::fmt::Debug;

use blitz_train::prelude::*;
use blitz_train::{
    Exposed, HeteroscedasticLikelihoodConfig, LaplaceLikelihoodConfig,
    NegativeBinomialLikelihoodConfig, PoissonLikelihoodConfig, StudentTLikelihoodConfig,
    WithExposure,
};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};

use crate::types::{TYPES, unit};
use crate::values;

/// The type that the loss should be computed in.
fn loss_type(output: DType) -> DType {
    match output {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// What a loss of `dtype` loses on the way, as a share of its value.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-11,
        _ => 2e-5,
    }
}

fn rows(values: &[f64], columns: usize, dtype: DType) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [values.len() / columns, columns]);
    Tensor::from_data(data, (&Device::flex().autodiff(), dtype))
}

fn labels<const D: usize>(values: &[i64], shape: [usize; D]) -> Tensor<D, Int> {
    let data = TensorData::new(values.to_vec(), shape);
    Tensor::from_data(data, &Device::flex().autodiff())
}

/// The same targets in every type that has them.
fn in_every_type(targets: &[f64]) -> Vec<Tensor<2>> {
    TYPES.map(|dtype| rows(targets, 1, dtype)).to_vec()
}

/// Sets the parameters, in `dtype`.
struct Set<'a>(std::slice::Iter<'a, f64>, DType);

impl ModuleMapper for Set<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = *self.0.next().unwrap();
        param.map(|old| {
            let data = TensorData::new(vec![value], old.shape());
            let new = Tensor::from_data(data, (&old.device(), self.1));
            new.set_require_grad(old.is_require_grad())
        })
    }
}

/// The values of all parameters, or their gradients.
struct Read<'a>(Option<&'a Gradients>, Vec<f64>);

impl ModuleVisitor for Read<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1.extend(match self.0 {
            None => values(param.val()),
            Some(grads) => values(param.val().grad(grads).unwrap()),
        });
    }
}

fn read<M: Module>(module: &M, grads: Option<&Gradients>) -> Vec<f64> {
    let mut read = Read(grads, Vec::new());
    module.visit(&mut read);
    read.1
}

fn with<M: Module>(module: &M, parameters: &[f64], dtype: DType) -> M {
    module.clone().map(&mut Set(parameters.iter(), dtype))
}

fn parameters<M: Module>(module: &M) -> Vec<f64> {
    read(module, None)
}

/// The slopes of a sum of losses at `at`, by central differences.
fn slopes(at: &[f64], losses: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let sum = |moved: &[f64]| losses(moved).iter().sum::<f64>();
    let slope = |i: usize| {
        let step = 1e-5 * at[i].abs().max(1.0);
        let moved = |by: f64| {
            let mut moved = at.to_vec();
            moved[i] += by;
            sum(&moved)
        };
        (moved(step) - moved(-step)) / (2.0 * step)
    };
    (0..at.len()).map(slope).collect()
}

/// Compares what a likelihood computes of one batch with `density`, `−ln p` of the targets under predictions in `f64`.
struct Case<'a, L: Likelihood> {
    likelihood: L,
    columns: usize,
    outputs: &'a [f64],
    targets: Vec<L::Target>,
    density: &'a dyn Fn(L::Predictive) -> Vec<f64>,
    /// What the metrics get.
    evaluated: &'a dyn Fn(L::Evaluation) -> Vec<Tensor<2>>,
}

impl<L: Likelihood<Output = Tensor<2>> + Debug> Case<'_, L> {
    fn run(&self) {
        for output in TYPES {
            for parameter in TYPES {
                for target in &self.targets {
                    self.assert_right(output, parameter, target);
                }
            }
        }
    }

    fn assert_right(&self, dtype: DType, parameter: DType, target: &L::Target) {
        let likelihood = with(&self.likelihood, &parameters(&self.likelihood), parameter);
        let output = rows(self.outputs, self.columns, dtype).require_grad();
        // What is left after rounding to the types is what the formula is of.
        let (outputs, own) = (values(output.clone()), parameters(&likelihood));
        let expected = |outputs: &[f64], own: &[f64]| {
            let exact = with(&self.likelihood, own, DType::F64);
            (self.density)(exact.predictive(vec![rows(outputs, self.columns, DType::F64)]))
        };
        let what = format!("{likelihood:?}, {dtype:?} outputs, {parameter:?} parameters");
        let close = |got: &[f64], expected: &[f64], tolerance: f64, part: &str| {
            assert_eq!(got.len(), expected.len(), "{what}: {part}");
            for (got, expected) in got.iter().zip(expected) {
                assert!(
                    (got - expected).abs() <= tolerance * expected.abs().max(0.1),
                    "{what}: {part} {got} for {expected}"
                );
            }
        };
        let loss = loss_type(dtype);
        let nll = likelihood.nll(output.clone(), target.clone());
        assert_eq!(nll.dtype(), loss, "{what}");
        let exact = expected(&outputs, &own);
        close(&values(nll.clone()), &exact, tolerance(loss), "nll");

        let grads = nll.sum().backward();
        let gradient = output.grad(&grads).unwrap();
        assert_eq!(gradient.dtype(), dtype, "{what}");
        // What differences lose, and the rounding to the type.
        let lost = 1e-4 + unit(dtype);
        let slope = slopes(&outputs, |moved| expected(moved, &own));
        close(&values(gradient), &slope, lost, "gradient by the outputs");
        let gradient = read(&likelihood, Some(&grads));
        let lost = 1e-4 + unit(parameter);
        let slope = slopes(&own, |moved| expected(&outputs, moved));
        close(&gradient, &slope, lost, "gradient by the parameters");

        let predicted = (self.density)(likelihood.predictive(vec![output.clone()]));
        close(&predicted, &exact, 1e-11, "predictive density");
        likelihood.check_target(target).unwrap();

        let evaluate = |likelihood: &L, output: Tensor<2>| {
            (self.evaluated)(likelihood.evaluate(vec![output.clone(), output], target.clone()))
        };
        let exact = evaluate(
            &with(&self.likelihood, &own, DType::F64),
            rows(&outputs, self.columns, DType::F64),
        );
        for (got, exact) in evaluate(&likelihood, output).into_iter().zip(exact) {
            assert_eq!(got.dtype(), loss, "{what}");
            close(&values(got), &values(exact), tolerance(loss), "evaluation");
        }
    }
}

const REAL_OUTPUTS: [f64; 4] = [0.3, -1.7, 30.0, 250.0];
const REAL_TARGETS: [f64; 4] = [0.5, -1.5, 24.0, 248.0];
const LOG_RATES: [f64; 5] = [-2.0, 0.5, 3.1, 5.5, 1.0];
const COUNTS: [f64; 5] = [0.0, 1.0, 22.0, 240.0, 9.0];

#[test]
fn the_gaussian_likelihood_is_right_in_every_mix_of_types() {
    let device = Device::flex().autodiff();
    let noise = LikelihoodParam::Learned(0.7);
    Case {
        likelihood: GaussianLikelihoodConfig::new()
            .with_noise(noise)
            .init(&device),
        columns: 1,
        outputs: &REAL_OUTPUTS,
        targets: in_every_type(&REAL_TARGETS),
        density: &|p| p.nll(&REAL_TARGETS),
        evaluated: &|e| vec![e.mean, e.cdf, e.target],
    }
    .run();
}

#[test]
fn the_heteroscedastic_likelihood_is_right_in_every_mix_of_types() {
    Case {
        likelihood: HeteroscedasticLikelihoodConfig::new().init(),
        columns: 2,
        outputs: &[0.3, 0.1, -1.7, -1.2, 30.0, 2.0, 250.0, 0.6],
        targets: in_every_type(&REAL_TARGETS),
        density: &|p| p.nll(&REAL_TARGETS),
        evaluated: &|e| vec![e.mean, e.cdf, e.target],
    }
    .run();
}

#[test]
fn the_student_t_likelihood_is_right_in_every_mix_of_types() {
    let device = Device::flex().autodiff();
    Case {
        likelihood: StudentTLikelihoodConfig::new()
            .with_scale(LikelihoodParam::Learned(0.7))
            .with_degrees_of_freedom(LikelihoodParam::Learned(3.5))
            .init(&device),
        columns: 1,
        outputs: &REAL_OUTPUTS,
        targets: in_every_type(&REAL_TARGETS),
        density: &|p| p.nll(&REAL_TARGETS),
        evaluated: &|e| vec![e.mean, e.target],
    }
    .run();
}

#[test]
fn the_laplace_likelihood_is_right_in_every_mix_of_types() {
    let device = Device::flex().autodiff();
    let scale = LikelihoodParam::Learned(0.7);
    Case {
        likelihood: LaplaceLikelihoodConfig::new()
            .with_scale(scale)
            .init(&device),
        columns: 1,
        outputs: &REAL_OUTPUTS,
        targets: in_every_type(&REAL_TARGETS),
        density: &|p| p.nll(&REAL_TARGETS),
        evaluated: &|e| vec![e.mean, e.cdf, e.target],
    }
    .run();
}

#[test]
fn the_poisson_likelihood_is_right_in_every_mix_of_types() {
    Case {
        likelihood: PoissonLikelihoodConfig::new().init(),
        columns: 1,
        outputs: &LOG_RATES,
        targets: in_every_type(&COUNTS),
        density: &|p| p.nll(&COUNTS),
        evaluated: &|e| vec![e.mean, e.target],
    }
    .run();
}

#[test]
fn the_negative_binomial_likelihood_is_right_in_every_mix_of_types() {
    let device = Device::flex().autodiff();
    let dispersion = LikelihoodParam::Learned(0.3);
    Case {
        likelihood: NegativeBinomialLikelihoodConfig::new()
            .with_dispersion(dispersion)
            .init(&device),
        columns: 1,
        outputs: &LOG_RATES,
        targets: in_every_type(&COUNTS),
        density: &|p| p.nll(&COUNTS),
        evaluated: &|e| vec![e.mean, e.target],
    }
    .run();
}

#[test]
fn the_bernoulli_likelihood_is_right_in_every_type() {
    Case {
        likelihood: BernoulliLikelihoodConfig::new().init(),
        columns: 1,
        outputs: &[0.4, -2.3, 9.0, 0.0],
        targets: vec![labels(&[1, 1, 0, 0], [4, 1])],
        density: &|p| p.nll(&[1.0, 1.0, 0.0, 0.0]),
        evaluated: &|e| vec![e.probabilities],
    }
    .run();
}

#[test]
fn the_categorical_likelihood_is_right_in_every_type() {
    Case {
        likelihood: CategoricalLikelihoodConfig::new(3).init(),
        columns: 3,
        outputs: &[0.4, -2.3, 9.0, 0.0, 1.0, 0.7],
        targets: vec![labels(&[1, 2], [2])],
        density: &|p| p.nll(&[1, 2]),
        evaluated: &|e| vec![e.probabilities],
    }
    .run();
}

#[test]
fn the_loss_is_finite_at_the_ends_of_half_precision() {
    /// Outputs of either sign at the end of `f16`, with the parameters and the targets in it as well.
    fn check<L: Likelihood<Output = Tensor<2>> + Debug>(
        likelihood: &L,
        columns: usize,
        outputs: &[f64],
        target: L::Target,
        density: &dyn Fn(L::Predictive) -> Vec<f64>,
    ) {
        let likelihood = with(likelihood, &parameters(likelihood), DType::F16);
        let output = rows(outputs, columns, DType::F16).require_grad();
        let expected = density(likelihood.predictive(vec![output.clone()]));
        let nll = likelihood.nll(output.clone(), target);
        for (got, expected) in values(nll.clone()).into_iter().zip(expected) {
            assert!(
                (got - expected).abs() <= 1e-4 * expected.abs().max(0.1),
                "{likelihood:?}: {got} for {expected}"
            );
        }
        // A slope may exceed the largest number of f16, but has a value.
        let gradient = values(output.grad(&nll.sum().backward()).unwrap());
        assert!(
            gradient.iter().all(|g| !g.is_nan()),
            "{likelihood:?}: {gradient:?}"
        );
    }
    let device = Device::flex().autodiff();
    let far = [6e4, -6e4, 6e4, 0.0];
    let targets = [-6e4, 6e4, 6e4, 0.0];
    let target = rows(&targets, 1, DType::F16);
    for scale in [6e-8, 1e-3, 1.0, 6e4] {
        let scale = LikelihoodParam::Learned(scale);
        let gaussian = GaussianLikelihoodConfig::new()
            .with_noise(scale)
            .init(&device);
        check(&gaussian, 1, &far, target.clone(), &|p| p.nll(&targets));
        let laplace = LaplaceLikelihoodConfig::new()
            .with_scale(scale)
            .init(&device);
        check(&laplace, 1, &far, target.clone(), &|p| p.nll(&targets));
        for nu in [0.1, 4.0, 6e4] {
            let student = StudentTLikelihoodConfig::new()
                .with_scale(scale)
                .with_degrees_of_freedom(LikelihoodParam::Learned(nu))
                .init(&device);
            check(&student, 1, &far, target.clone(), &|p| p.nll(&targets));
        }
    }
    let heteroscedastic = HeteroscedasticLikelihoodConfig::new().init();
    let outputs = [6e4, -6e4, -6e4, 10.0, 6e4, 0.0, 0.0, -6e4];
    check(&heteroscedastic, 2, &outputs, target, &|p| p.nll(&targets));

    let logits = [6e4, -6e4, -6e4, 6e4];
    let bernoulli = BernoulliLikelihoodConfig::new().init();
    check(
        &bernoulli,
        1,
        &logits,
        labels(&[0, 1, 0, 1], [4, 1]),
        &|p| p.nll(&[0.0, 1.0, 0.0, 1.0]),
    );
    let categorical = CategoricalLikelihoodConfig::new(2).init();
    check(&categorical, 2, &logits, labels(&[1, 1], [2]), &|p| {
        p.nll(&[1, 1])
    });

    let counts = [0.0, 1.0, 2048.0, 6e4];
    let target = rows(&counts, 1, DType::F16);
    let log_rates = [-6e4, -30.0, 39.0, 11.0];
    let poisson = PoissonLikelihoodConfig::new().init();
    check(&poisson, 1, &log_rates, target.clone(), &|p| p.nll(&counts));
    for dispersion in [6e-8, 1.0, 100.0] {
        let dispersion = LikelihoodParam::Learned(dispersion);
        let negative_binomial = NegativeBinomialLikelihoodConfig::new()
            .with_dispersion(dispersion)
            .init(&device);
        check(&negative_binomial, 1, &log_rates, target.clone(), &|p| {
            p.nll(&counts)
        });
    }
}

#[test]
fn targets_without_a_meaning_are_told_in_every_type() {
    let poisson = PoissonLikelihoodConfig::new().init();
    for dtype in TYPES {
        let target = rows(&[1.0, 2.5], 1, dtype);
        assert_eq!(poisson.check_target(&target).unwrap_err().example, 1);
        for output in TYPES {
            let nll = values(poisson.nll(rows(&[0.0, 0.0], 1, output), target.clone()));
            assert!(
                nll[0].is_finite() && nll[1].is_nan(),
                "{dtype:?} {output:?}: {nll:?}"
            );
        }
        let gaussian = GaussianLikelihoodConfig::new().init(&Device::flex());
        let error = gaussian.check_target(&rows(&[1.0, f64::INFINITY], 1, dtype));
        assert_eq!(error.unwrap_err().example, 1);
    }
}

/// Returns what it is given.
#[derive(Module, Debug)]
struct Same;

impl Network for Same {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        input
    }
}

#[test]
fn an_exposure_may_have_another_type_than_the_network() {
    let network = WithExposure { network: Same };
    for output in TYPES {
        for exposure in TYPES {
            let rates = network.forward(Exposed {
                inputs: rows(&[1.5, -2.0], 1, output),
                log_exposure: rows(&[4.0, 0.25], 1, exposure),
            });
            assert_eq!(values(rates), [5.5, -1.75]);
        }
    }
}
