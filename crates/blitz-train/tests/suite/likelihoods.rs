//! The likelihoods besides the Gaussian and the categorical one. The tables are printed by `likelihoods_reference.py`.

use blitz_train::distribution::{Distribution as _, NegativeBinomial, Poisson, StudentT};
use blitz_train::prelude::*;
use blitz_train::{
    Evaluation as _, HeteroscedasticLikelihoodConfig, LaplaceLikelihoodConfig, LikelihoodParam,
    NegativeBinomialLikelihoodConfig, PoissonLikelihoodConfig, PredictError,
    StudentTLikelihoodConfig,
};
use burn::module::Param;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::values;

#[rustfmt::skip]
const STUDENT_T: &[(&[f64], f64, f64, f64)] = &[
    (&[0.125, 1.0], 0.0, 0.0, 1.8136203325087403),
    (&[0.125, 0.5], 1.0, 3.0, 3.8541176294022357),
    (&[0.125, 2.0], -0.5, 4096.0, 12.254287077172972),
    (&[0.125, 1.0], 0.0, 7.378697629483821e+19, 54.44948435627959),
    (&[1.0, 1.0], 0.0, 0.0, 1.1447298858494002),
    (&[1.0, 0.5], 1.0, 3.0, 3.284796049345671),
    (&[1.0, 2.0], -0.5, 4096.0, 17.087359402813547),
    (&[1.0, 1.0], 0.0, 7.378697629483821e+19, 92.64015771976219),
    (&[4.0, 1.0], 0.0, 0.0, 0.9808292530117262),
    (&[4.0, 0.5], 1.0, 3.0, 4.311276853537032),
    (&[4.0, 2.0], -0.5, 4096.0, 36.33194815948425),
    (&[4.0, 1.0], 0.0, 7.378697629483821e+19, 226.25366293499394),
    (&[128.0, 1.0], 0.0, 0.0, 0.9208916383379128),
    (&[128.0, 0.5], 1.0, 3.0, 7.8247502576147),
    (&[128.0, 2.0], -0.5, 4096.0, 672.2516499932054),
    (&[128.0, 1.0], 0.0, 7.378697629483821e+19, 5589.420034902897),
    (&[1048576.0, 1.0], 0.0, 0.0, 0.9189387716232519),
    (&[1048576.0, 0.5], 1.0, 3.0, 8.225738185864255),
    (&[1048576.0, 2.0], -0.5, 4096.0, 843913.7973868921),
    (&[1099511627776.0, 1.0], 0.0, 0.0, 0.9189385332049002),
    (&[1099511627776.0, 0.5], 1.0, 3.0, 8.225791352594022),
    (&[1099511627776.0, 2.0], -0.5, 4096.0, 2097661.641394319),
];
#[rustfmt::skip]
const POISSON: &[(&[f64], f64, f64, f64)] = &[
    (&[], -80.0, 0.0, 1.8048513878454153e-35),
    (&[], -80.0, 1.0, 80.0),
    (&[], 0.0, 0.0, 1.0),
    (&[], 0.0, 1.0, 1.0),
    (&[], 1.5, 7.0, 2.506850431403479),
    (&[], 5.0, 150.0, 3.4332649520002874),
    (&[], 10.0, 22000.0, 5.934247483934126),
    (&[], 13.75, 1048576.0, 6450.968699476988),
    (&[], 14.0, 1048576.0, 10322.09463169931),
    (&[], 39.0, 3.0, 8.659340042399363e+16),
    (&[], 20.0, 0.0, 485165195.4097903),
];
#[rustfmt::skip]
const NEGATIVE_BINOMIAL: &[(&[f64], f64, f64, f64)] = &[
    (&[9.094947017729282e-13], -80.0, 0.0, 1.8048513878454153e-35),
    (&[9.094947017729282e-13], -80.0, 1.0, 80.0),
    (&[9.094947017729282e-13], 0.5, 0.0, 1.648721270698892),
    (&[9.094947017729282e-13], 1.5, 7.0, 2.5068504314037785),
    (&[9.094947017729282e-13], 5.0, 150.0, 3.433264952067354),
    (&[9.094947017729282e-13], 14.0, 1048576.0, 10322.083843437364),
    (&[9.094947017729282e-13], 39.0, 3.0, 12396032052607.936),
    (&[9.094947017729282e-13], -20.0, 1048576.0, 34459301.31046756),
    (&[9.5367431640625e-07], -80.0, 0.0, 1.8048513878454153e-35),
    (&[9.5367431640625e-07], -80.0, 1.0, 80.0),
    (&[9.5367431640625e-07], 0.5, 0.0, 1.6487199745237047),
    (&[9.5367431640625e-07], 1.5, 7.0, 2.5068507452195457),
    (&[9.5367431640625e-07], 5.0, 150.0, 3.4333352719339936),
    (&[9.5367431640625e-07], 14.0, 1048576.0, 4928.5795121491265),
    (&[9.5367431640625e-07], 39.0, 3.0, 26358074.24288197),
    (&[9.5367431640625e-07], -20.0, 1048576.0, 34054243.161034904),
    (&[0.0625], -80.0, 0.0, 1.8048513878454153e-35),
    (&[0.0625], -80.0, 1.0, 80.0),
    (&[0.0625], 0.5, 0.0, 1.569193748205333),
    (&[0.0625], 1.5, 7.0, 2.5410510681209546),
    (&[0.0625], 5.0, 150.0, 4.600036919011745),
    (&[0.0625], 14.0, 1048576.0, 13.544440217522473),
    (&[0.0625], 39.0, 3.0, 572.9341660891994),
    (&[0.0625], -20.0, 1048576.0, 23878609.947149158),
    (&[1.0], -80.0, 0.0, 1.8048513878454153e-35),
    (&[1.0], -80.0, 1.0, 80.0),
    (&[1.0], 0.5, 0.0, 0.9740769841801067),
    (&[1.0], 1.5, 7.0, 3.1113062238620195),
    (&[1.0], 5.0, 150.0, 6.014017621856828),
    (&[1.0], 14.0, 1048576.0, 14.871921527177618),
    (&[1.0], 39.0, 3.0, 39.0),
    (&[1.0], -20.0, 1048576.0, 20971520.00216128),
    (&[1024.0], -80.0, 0.0, 1.8048513878454153e-35),
    (&[1024.0], -80.0, 1.0, 80.0),
    (&[1024.0], 0.5, 0.0, 0.007257874946628398),
    (&[1024.0], 1.5, 7.0, 8.884749296936622),
    (&[1024.0], 5.0, 150.0, 11.94929308869066),
    (&[1024.0], 14.0, 1048576.0, 20.801606859057227),
    (&[1024.0], 39.0, 3.0, 8.073474799150162),
    (&[1024.0], -20.0, 1048576.0, 13703368.013430748),
];

fn column(values: &[f64], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).unsqueeze_dim(1)
}

fn row(values: &[f64], device: &Device) -> Tensor<2> {
    column(values, device).transpose()
}

fn student_t(nu: f64, scale: f64, device: &Device) -> blitz_train::StudentTLikelihood {
    StudentTLikelihoodConfig::new()
        .with_scale(LikelihoodParam::Learned(scale))
        .with_degrees_of_freedom(LikelihoodParam::Learned(nu))
        .init(device)
}

fn negative_binomial(dispersion: f64, device: &Device) -> blitz_train::NegativeBinomialLikelihood {
    NegativeBinomialLikelihoodConfig::new()
        .with_dispersion(LikelihoodParam::Learned(dispersion))
        .init(device)
}

/// `f32` has seven digits, of a log rate as of a loss.
fn assert_close(got: f64, expected: f64, what: &str) {
    assert!(
        (got - expected).abs() < 3e-6 + 3e-5 * expected.abs(),
        "{what}: {got} instead of {expected}"
    );
}

/// The nll of one example, with a finite gradient by its output.
fn nll<L: Likelihood<Output = Tensor<2>, Target = Tensor<2>>>(
    likelihood: &L,
    output: f64,
    target: f64,
) -> f64 {
    let device = Device::flex().autodiff();
    let output = column(&[output], &device).require_grad();
    let nll = likelihood.nll(output.clone(), column(&[target], &device));
    let gradient = values(output.grad(&nll.clone().sum().backward()).unwrap())[0];
    assert!(
        gradient.is_finite(),
        "the gradient at {target} is {gradient}"
    );
    values(nll)[0]
}

#[test]
fn student_t_agrees_with_many_digits_far_into_tails_and_limits() {
    let device = Device::flex().autodiff();
    for (parameters, output, target, expected) in STUDENT_T {
        let got = nll(
            &student_t(parameters[0], parameters[1], &device),
            *output,
            *target,
        );
        assert_close(got, *expected, &format!("{parameters:?} {output} {target}"));
    }
}

#[test]
fn poisson_agrees_with_many_digits_at_large_counts_and_rates() {
    let likelihood = PoissonLikelihoodConfig::new().init();
    for (_, output, target, expected) in POISSON {
        assert_close(
            nll(&likelihood, *output, *target),
            *expected,
            &format!("{output} {target}"),
        );
    }
}

#[test]
fn negative_binomial_agrees_with_many_digits_at_all_dispersions() {
    let device = Device::flex().autodiff();
    for (parameters, output, target, expected) in NEGATIVE_BINOMIAL {
        let got = nll(&negative_binomial(parameters[0], &device), *output, *target);
        assert_close(got, *expected, &format!("{parameters:?} {output} {target}"));
    }
}

#[test]
fn predictive_densities_agree_with_many_digits_in_double_precision() {
    let close = |got: f64, expected: f64, what: &str| {
        assert!(
            (got - expected).abs() < 1e-9 * expected.abs().max(1e-3),
            "{what}: {got} instead of {expected}"
        );
    };
    for (parameters, location, y, expected) in STUDENT_T {
        let t = StudentT {
            location: *location,
            scale: parameters[1],
            degrees_of_freedom: parameters[0],
        };
        close(-t.ln_pdf(*y), *expected, &format!("{t:?} at {y}"));
    }
    for (_, log_rate, y, expected) in POISSON {
        let p = Poisson {
            log_rate: *log_rate,
        };
        close(-p.ln_pdf(*y), *expected, &format!("{p:?} at {y}"));
    }
    for (parameters, log_mean, y, expected) in NEGATIVE_BINOMIAL {
        let b = NegativeBinomial {
            log_mean: *log_mean,
            dispersion: parameters[0],
        };
        close(-b.ln_pdf(*y), *expected, &format!("{b:?} at {y}"));
    }
}

#[test]
fn limits_hold_in_single_precision() {
    let device = Device::flex().autodiff();
    let gaussian = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(0.5))
        .init(&device);
    let poisson = PoissonLikelihoodConfig::new().init();
    for (output, target) in [(0.3, 1.0), (2.0, 5.0), (6.0, 390.0), (11.0, 60_000.0)] {
        for dispersion in [1e-12, 1e-39] {
            let almost = nll(&negative_binomial(dispersion, &device), output, target);
            assert_close(almost, nll(&poisson, output, target), "Poisson");
        }
        let (y, f) = (0.1 * output, 0.05 * output);
        for nu in [1e12, 1e39] {
            let almost = nll(&student_t(nu, 0.5, &device), f, y);
            assert_close(almost, nll(&gaussian, f, y), "Gaussian");
        }
    }
}

#[test]
fn no_output_that_a_network_may_return_overflows() {
    let device = Device::flex().autodiff();
    let poisson = PoissonLikelihoodConfig::new().init();
    let heteroscedastic = HeteroscedasticLikelihoodConfig::new().init();
    let mut losses = Vec::new();
    for output in [-1e4, -100.0, 100.0, 1e4] {
        for target in [0.0, 1.0, 1e6] {
            losses.push(nll(&poisson, output, target));
            losses.push(nll(&negative_binomial(0.3, &device), output, target));
            let output = row(&[3.0, output], &device).require_grad();
            let loss = heteroscedastic.nll(output.clone(), row(&[target], &device));
            let gradients = values(output.grad(&loss.clone().backward()).unwrap());
            assert!(gradients.iter().all(|g| g.is_finite()), "{gradients:?}");
            losses.push(values(loss)[0]);
        }
    }
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    // And the loss still says which way to go.
    assert!(nll(&poisson, 60.0, 3.0) > nll(&poisson, 50.0, 3.0));
    assert!(
        nll(&negative_binomial(0.3, &device), 60.0, 3.0)
            > nll(&negative_binomial(0.3, &device), 50.0, 3.0)
    );
    let bernoulli = BernoulliLikelihoodConfig::new().init();
    let output = row(&[1e4], &device).require_grad();
    let wrong = bernoulli.nll(output.clone(), Tensor::<2, Int>::zeros([1, 1], &device));
    assert_eq!(values(output.grad(&wrong.backward()).unwrap()), [1.0]);
    assert_eq!(values(wrong), [1e4]);
}

/// The gradients by output and, if there is one, by a learned parameter against central differences.
fn gradients_agree(what: &str, at: f64, derivative: f64, f: impl Fn(f64) -> f64) {
    let h = 1e-2;
    // Of fourth order, so that the step may be wide enough for f32.
    let expected =
        (8.0 * (f(at + h) - f(at - h)) - (f(at + 2.0 * h) - f(at - 2.0 * h))) / (12.0 * h);
    // Four losses with seven digits each over 12 h.
    let rounding = 2e-5 * (1.0 + f(at).abs());
    assert!(
        (derivative - expected).abs() < rounding + 1e-4 * expected.abs(),
        "{what} at {at}: {derivative} instead of {expected}"
    );
}

#[test]
fn gradients_by_the_output_agree_with_finite_differences() {
    fn check<L: Likelihood<Output = Tensor<2>, Target = Tensor<2>>>(
        what: &str,
        likelihood: &L,
        cases: &[(f64, f64)],
    ) {
        let device = Device::flex().autodiff();
        for (at, target) in cases {
            let output = column(&[*at], &device).require_grad();
            let loss = likelihood.nll(output.clone(), column(&[*target], &device));
            let gradient = values(output.grad(&loss.backward()).unwrap())[0];
            gradients_agree(what, *at, gradient, |at| nll(likelihood, at, *target));
        }
    }
    let device = Device::flex().autodiff();
    let real = [(0.3, 1.0), (-2.0, 5.0), (1.0, 0.5)];
    check("Student-t", &student_t(3.0, 0.7, &device), &real);
    let laplace = LaplaceLikelihoodConfig::new().init(&device);
    check("Laplace", &laplace, &real);
    let counts = [(0.3, 0.0), (0.3, 1.0), (2.0, 5.0), (-1.0, 3.0), (3.0, 30.0)];
    check("Poisson", &PoissonLikelihoodConfig::new().init(), &counts);
    for dispersion in [1e-9, 0.2, 30.0] {
        check(
            "negative binomial",
            &negative_binomial(dispersion, &device),
            &counts,
        );
    }
}

#[test]
fn gradients_by_learned_parameters_agree_with_finite_differences() {
    let device = Device::flex().autodiff();
    for (output, target) in [(0.3, 1.0), (-1.0, 6.0), (1.0, 0.0)] {
        let (output, target) = (column(&[output], &device), column(&[target], &device));
        for at in [-1.0, 0.5, 3.0] {
            let t = student_t(f64::exp(at), 0.7, &device);
            let loss = t.nll(output.clone(), target.clone()).backward();
            let gradient = values(t.log_degrees_of_freedom.val().grad(&loss).unwrap())[0];
            gradients_agree("ln ν", at, gradient, |at| {
                values(student_t(at.exp(), 0.7, &device).nll(output.clone(), target.clone()))[0]
            });
            let t = student_t(2.0, f64::exp(at), &device);
            let loss = t.nll(output.clone(), target.clone()).backward();
            let gradient = values(t.log_scale.val().grad(&loss).unwrap())[0];
            gradients_agree("ln σ", at, gradient, |at| {
                values(student_t(2.0, at.exp(), &device).nll(output.clone(), target.clone()))[0]
            });
            let b = negative_binomial(f64::exp(at), &device);
            let loss = b.nll(output.clone(), target.clone()).backward();
            let gradient = values(b.log_dispersion.val().grad(&loss).unwrap())[0];
            gradients_agree("ln α", at, gradient, |at| {
                values(negative_binomial(at.exp(), &device).nll(output.clone(), target.clone()))[0]
            });
        }
    }
}

/// A likelihood of a learned scale: its loss, and the gradients by `ln σ` and by the output, at a residual of `z`
/// scales.
fn at_scale<L: Likelihood<Output = Tensor<2>, Target = Tensor<2>>>(
    likelihood: &L,
    log_scale: &Param<Tensor<1>>,
    scale: f64,
    z: f64,
) -> [f64; 3] {
    let device = Device::flex().autodiff();
    let output = column(&[0.0], &device).require_grad();
    let loss = likelihood.nll(output.clone(), column(&[z * scale], &device));
    let grads = loss.clone().sum().backward();
    let by_scale = values(log_scale.val().grad(&grads).unwrap())[0];
    let by_output = values(output.grad(&grads).unwrap())[0];
    [values(loss)[0], by_scale, by_output]
}

#[test]
fn losses_and_gradients_keep_their_digits_at_scales_whose_squares_overflow() {
    let device = Device::flex().autodiff();
    let gaussian = |scale| {
        GaussianLikelihoodConfig::new()
            .with_noise(LikelihoodParam::Learned(scale))
            .init(&device)
    };
    let laplace = |scale| {
        LaplaceLikelihoodConfig::new()
            .with_scale(LikelihoodParam::Learned(scale))
            .init(&device)
    };
    let t = |scale| student_t(4.0, scale, &device);
    let all = |scale: f64, z: f64| {
        let (g, l, t) = (gaussian(scale), laplace(scale), t(scale));
        [
            ("Gaussian", at_scale(&g, &g.log_std, scale, z)),
            ("Laplace", at_scale(&l, &l.log_scale, scale, z)),
            ("Student-t", at_scale(&t, &t.log_scale, scale, z)),
        ]
    };
    for scale in [1e20, 1e-25] {
        for z in [0.5, 2.0, -3.0] {
            for ((what, unit), (_, scaled)) in all(1.0, z).into_iter().zip(all(scale, z)) {
                // A change of units moves the loss by its logarithm, and nothing else.
                let expected = [unit[0] + scale.ln(), unit[1], unit[2] / scale];
                for (got, expected) in scaled.into_iter().zip(expected) {
                    assert!(
                        (got - expected).abs() < 1e-4 * expected.abs(),
                        "{what} of scale {scale}, {z} scales off: {scaled:?} instead of {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_output_that_meets_its_target_has_a_loss_at_any_fixed_scale() {
    use blitz_train::ExpectedNll as _;
    use blitz_train::blitz_layers::moments::Moments;

    let device = Device::flex().autodiff();
    let scale = 1e-50;
    let fixed = LikelihoodParam::Fixed(scale);
    let gaussian = GaussianLikelihoodConfig::new()
        .with_noise(fixed)
        .init(&device);
    let laplace = LaplaceLikelihoodConfig::new()
        .with_scale(fixed)
        .init(&device);
    let t = StudentTLikelihoodConfig::new()
        .with_scale(fixed)
        .init(&device);
    let heteroscedastic = HeteroscedasticLikelihoodConfig::new()
        .with_min_std(scale)
        .init();
    let half_log_two_pi = 0.5 * std::f64::consts::TAU.ln();
    assert_close(
        nll(&gaussian, 1.0, 1.0),
        scale.ln() + half_log_two_pi,
        "Gaussian",
    );
    assert_close(
        nll(&laplace, 1.0, 1.0),
        scale.ln() + std::f64::consts::LN_2,
        "Laplace",
    );
    // The density of Student's t with four degrees of freedom is 3/8 at its peak.
    assert_close(nll(&t, 1.0, 1.0), scale.ln() - 0.375f64.ln(), "Student-t");
    let output = row(&[1.0, -200.0], &device).require_grad();
    let target = column(&[1.0], &device);
    let loss = heteroscedastic.nll(output.clone(), target.clone());
    let gradients = values(output.grad(&loss.clone().sum().backward()).unwrap());
    assert!(gradients.iter().all(|g| g.is_finite()), "{gradients:?}");
    assert_close(
        values(loss)[0],
        scale.ln() + half_log_two_pi,
        "heteroscedastic",
    );

    // As what is known without a spread, and in the metrics.
    let known = Moments::new(target.clone(), target.zeros_like());
    assert_close(
        values(gaussian.expected_nll(known, target.clone()))[0],
        scale.ln() + half_log_two_pi,
        "expected",
    );
    let known = Moments::new(output.clone(), output.zeros_like());
    assert_close(
        values(heteroscedastic.expected_nll(known, target.clone()))[0],
        scale.ln() + half_log_two_pi,
        "expected, heteroscedastic",
    );
    let gaussian = gaussian.evaluate(vec![target.clone()], target.clone()).cdf;
    let laplace = laplace.evaluate(vec![target.clone()], target).cdf;
    assert_eq!([values(gaussian), values(laplace)], [[0.5], [0.5]]);
}

/// Sums of logarithms where a quotient would overflow, or its gradient: against central differences of the loss in
/// `f64`.
#[test]
fn negative_binomial_gradients_are_right_far_from_the_mean() {
    let device = Device::flex().autodiff();
    let loss = |output: f64, target: f64, log_alpha: f64, dtype: DType| {
        let one = |value: f64| {
            Tensor::<1>::from_data(TensorData::new(vec![value], [1]), (&device, dtype))
        };
        let mut likelihood = negative_binomial(1.0, &device);
        likelihood.log_dispersion = Param::from_tensor(one(log_alpha));
        let output = one(output).unsqueeze_dim::<2>(0).require_grad();
        let loss = likelihood.nll(output.clone(), one(target).unsqueeze_dim(0));
        let grads = loss.clone().backward();
        let by_output = values(output.grad(&grads).unwrap())[0];
        let log_alpha = likelihood.log_dispersion.val();
        let by_log_alpha = values(log_alpha.grad(&grads).unwrap())[0];
        (values(loss)[0], by_output, by_log_alpha)
    };
    let cases = [
        (-39.5, 1e5, -12.0),
        (-39.5, 3.0, -12.0),
        (-39.5, 1e5, 0.5),
        (-60.0, 1e5, -12.0),
        (-39.5, 0.0, -12.0),
        (11.0, 1e5, -12.0),
    ];
    for (f, y, a) in cases {
        let (_, by_output, by_log_alpha) = loss(f, y, a, DType::F32);
        let value = |f: f64, a: f64| loss(f, y, a, DType::F64).0;
        let h = 1e-3;
        let expected = [
            (value(f + h, a) - value(f - h, a)) / (2.0 * h),
            (value(f, a + h) - value(f, a - h)) / (2.0 * h),
        ];
        // Sums of terms of the size of y and of the mean.
        let rounding = 1e-6 * (y + f.exp());
        for (got, expected) in [by_output, by_log_alpha].into_iter().zip(expected) {
            assert!(
                (got - expected).abs() < 1e-5 * expected.abs() + rounding,
                "{got} instead of {expected} at {f}, {y}, {a}"
            );
        }
    }
}

/// The loss is `r ln(1 + α μ)`.
#[test]
fn negative_binomial_gradients_of_a_zero_are_right_at_every_dispersion() {
    let device = Device::flex().autodiff();
    for (f, a) in [
        (40.0f64, 26.0f64),
        (40.0, 30.0),
        (40.0, 40.0),
        (10.0, 40.0),
        (6.0, 8.0),
        (3.0, 8.0),
        (0.0, 40.0),
        (-30.0, 10.0),
        (0.3, -0.7),
    ] {
        let mut likelihood = negative_binomial(1.0, &device);
        likelihood.log_dispersion = Param::from_tensor(Tensor::from_floats([a as f32], &device));
        let output = column(&[f], &device).require_grad();
        let loss = likelihood.nll(output.clone(), column(&[0.0], &device));
        let grads = loss.clone().backward();
        let ratio = (f + a).exp();
        let by_output = f.exp() / (1.0 + ratio);
        let value = (-a).exp() * ratio.ln_1p();
        let log_alpha = likelihood.log_dispersion.val();
        for (got, expected) in [
            (loss, value),
            (log_alpha.grad(&grads).unwrap(), by_output - value),
            (
                Tensor::<2>::flatten(output.grad(&grads).unwrap(), 0, 1),
                by_output,
            ),
        ] {
            let got = values(got)[0];
            // Differences of two terms of the size of the loss.
            let rounding = 1e-4 * expected.abs() + 1e-6 * value;
            assert!(
                (got - expected).abs() < rounding,
                "{got} instead of {expected} at {f}, {a}"
            );
        }
    }
}

#[test]
fn gradients_by_parameters_are_right_where_their_inverses_have_no_square() {
    let device = Device::flex().autodiff();
    for dispersion in [1e-12, 1e-20, 1e-25, 1e-34] {
        for (f, y) in [
            (0.3, 0.0),
            (0.3, 1.0),
            (1.5, 7.0),
            (2.0, 30.0),
            (5.0, 150.0),
        ] {
            let b = negative_binomial(dispersion, &device);
            let loss = b.nll(column(&[f], &device), column(&[y], &device));
            let gradient = b.log_dispersion.val().grad(&loss.backward()).unwrap();
            // The loss is Poisson's and −½ α ((y − μ)² − y), to the first order.
            let expected = -0.5 * dispersion * ((y - f64::exp(f)).powi(2) - y);
            let gradient = values(gradient)[0];
            assert!(
                (gradient - expected).abs() < 1e-4 * expected.abs(),
                "{gradient} instead of {expected} at {f}, {y}, {dispersion}"
            );
        }
    }
    for nu in [1e10, 1e20, 1e34] {
        for z in [0.0, 0.5, -3.0] {
            let t = student_t(nu, 0.5, &device);
            let loss = t.nll(column(&[0.0], &device), column(&[0.5 * z], &device));
            let gradient = t
                .log_degrees_of_freedom
                .val()
                .grad(&loss.backward())
                .unwrap();
            // Where the noise is normal it says nothing of ν: no more than the digits of a loss.
            assert!(
                values(gradient.clone())[0].abs() < 1e-5,
                "{gradient} at {z}, {nu}"
            );
        }
    }
}

#[test]
fn heteroscedastic_nll_is_the_gaussian_one_of_each_examples_deviation() {
    let device = Device::flex();
    let likelihood = HeteroscedasticLikelihoodConfig::new()
        .with_targets(2)
        .with_min_std(0.1)
        .init();
    let output = [0.5, -1.0, 0.4f64.ln(), 1.9f64.ln()];
    let target = [1.0, 3.0];
    let got = values(likelihood.nll(row(&output, &device), row(&target, &device)))[0];
    let predictive = likelihood.predictive(vec![row(&output, &device)]);
    assert!((predictive.aleatoric_std()[0] - 0.5).abs() < 1e-6);
    assert!((predictive.aleatoric_std()[1] - 2.0).abs() < 1e-6);
    // z = 1 and 2: ½ + 2 + ln(0.5 · 2) + ln 2π.
    assert_close(got, 2.5 + std::f64::consts::TAU.ln(), "nll");
    assert_close(predictive.nll(&target).iter().sum(), got, "predictive");
}

#[test]
fn beta_nll_keeps_the_value_and_weights_the_gradient_by_the_variance() {
    let device = Device::flex().autodiff();
    let at = |log_std: f64, beta: f64| {
        let likelihood = HeteroscedasticLikelihoodConfig::new()
            .with_beta(beta)
            .init();
        let output = row(&[0.5, log_std], &device).require_grad();
        let loss = likelihood.nll(output.clone(), row(&[2.0], &device));
        let gradient = values(output.grad(&loss.backward()).unwrap());
        (values(loss)[0], gradient)
    };
    let of = |beta: f64| at(3f64.ln(), beta);
    let ((plain, by_nll), (weighted, by_beta)) = (of(0.0), of(0.5));
    assert_eq!(plain, weighted);
    let std = 3.001;
    for (a, b) in by_nll.iter().zip(by_beta) {
        assert_close(b, std * a, "gradient");
    }
    // With β = 1 the mean learns as by least squares: the residual itself.
    assert_close(of(1.0).1[0], -1.5, "mean");
    // Also where the variance is no number.
    for log_std in [50.0, 1e4] {
        let [(plain, _), (weighted, gradient)] = [0.0, 1.0].map(|beta| at(log_std, beta));
        assert_eq!(plain, weighted);
        assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
    }
}

#[test]
fn evaluations_agree_with_predictive_distributions() {
    let device = Device::flex();
    let outputs = vec![column(&[0.0, 1.0], &device), column(&[2.0, 1.5], &device)];
    let target = column(&[0.3, 4.0], &device);
    let laplace = LaplaceLikelihoodConfig::new().init(&device);
    let evaluation = laplace
        .evaluate(outputs.clone(), target.clone())
        .without_autodiff();
    let predictive = laplace.predictive(outputs.clone());
    for (got, expected) in values(evaluation.cdf)
        .iter()
        .zip(predictive.cdf(&values(target.clone())))
    {
        assert_close(*got, expected, "Laplace");
    }
    let poisson = PoissonLikelihoodConfig::new().init();
    let evaluation = poisson
        .evaluate(outputs.clone(), target.clone())
        .without_autodiff();
    for (got, expected) in values(evaluation.mean)
        .iter()
        .zip(poisson.predictive(outputs.clone()).mean())
    {
        assert_close(*got, expected, "Poisson");
    }
    let both = vec![
        Tensor::cat(outputs.clone(), 1),
        Tensor::cat(vec![outputs[1].clone(); 2], 1),
    ];
    let heteroscedastic = HeteroscedasticLikelihoodConfig::new().init();
    let evaluation = heteroscedastic
        .evaluate(both.clone(), target.clone())
        .without_autodiff();
    let predictive = heteroscedastic.predictive(both);
    for (got, expected) in values(evaluation.cdf)
        .iter()
        .zip(predictive.cdf(&values(target)))
    {
        assert_close(*got, expected, "heteroscedastic");
    }
    let bernoulli = BernoulliLikelihoodConfig::new().init();
    let labels = Tensor::<2, Int>::from_ints([[1], [0]], &device);
    let evaluation = bernoulli
        .evaluate(outputs.clone(), labels)
        .without_autodiff();
    let ones = values(evaluation.probabilities.narrow(1, 1, 1));
    for (got, expected) in ones.iter().zip(bernoulli.predictive(outputs).probability()) {
        assert_close(*got, expected, "Bernoulli");
    }
}

#[test]
fn label_smoothing_is_the_cross_entropy_to_softened_labels() {
    let device = Device::flex();
    let logits = row(&[1.0, 2.0, 0.5], &device);
    let nll = |smoothing: f64, label: i64| {
        let likelihood = CategoricalLikelihoodConfig::new(3)
            .with_label_smoothing(smoothing)
            .init();
        values(likelihood.nll(
            logits.clone(),
            Tensor::<1, Int>::from_ints([label], &device),
        ))[0]
    };
    let plain = [0, 1, 2].map(|label| nll(0.0, label));
    let expected = 0.7 * plain[2] + 0.3 * plain.iter().sum::<f64>() / 3.0;
    assert_close(nll(0.3, 2), expected, "smoothed");
}

#[test]
fn a_bad_target_spoils_its_own_example_and_no_other() {
    let device = Device::flex();
    let counts = column(&[2.0, -1.0, 0.5, f64::NAN, f64::INFINITY, 0.0], &device);
    let outputs = counts.zeros_like();
    let is_nan = |nll: Tensor<1>| values(nll).iter().map(|v| v.is_nan()).collect::<Vec<_>>();
    let expected = [false, true, true, true, true, false];
    let poisson = PoissonLikelihoodConfig::new().init();
    assert_eq!(
        is_nan(poisson.nll(outputs.clone(), counts.clone())),
        expected
    );
    let b = negative_binomial(0.5, &device);
    assert_eq!(is_nan(b.nll(outputs, counts)), expected);
    let labels = Tensor::<1, Int>::from_ints([0, 3, -1, 2], &device);
    let categorical = CategoricalLikelihoodConfig::new(3).init();
    let nll = categorical.nll(Tensor::zeros([4, 3], &device), labels.clone());
    assert_eq!(is_nan(nll), [false, true, true, false]);
    let labels: Tensor<2, Int> = labels.unsqueeze_dim(1);
    let nll = BernoulliLikelihoodConfig::new()
        .init()
        .nll(Tensor::zeros([4, 1], &device), labels);
    assert_eq!(is_nan(nll), [false, true, true, true]);
}

#[test]
fn a_check_names_the_bad_target() {
    let device = Device::flex();
    let two = |a: [f32; 2], b: [f32; 2]| Tensor::<2>::from_floats([a, b], &device);
    let poisson = PoissonLikelihoodConfig::new().with_targets(2).init();
    assert!(poisson.check_target(&two([0.0, 3.0], [1.0, 1e6])).is_ok());
    for bad in [-1.0, 0.5, f32::NAN, f32::INFINITY] {
        let error = poisson
            .check_target(&two([0.0, 3.0], [1.0, bad]))
            .unwrap_err();
        assert_eq!((error.example, error.column), (1, 1));
        let text = error.to_string();
        assert!(
            text.contains(&bad.to_string()) && text.contains("a whole number from 0 up"),
            "{text}"
        );
    }
    let gaussian = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .init(&device);
    assert!(gaussian.check_target(&two([-1.5, 3.0], [1.0, 2.0])).is_ok());
    assert!(
        gaussian
            .check_target(&two([f32::NAN, 3.0], [1.0, 2.0]))
            .is_err()
    );
    let binary = BernoulliLikelihoodConfig::new().init();
    let error = binary
        .check_target(&Tensor::from_ints([[1], [2]], &device))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "example 1, target 0: 2 is no target of this likelihood, which needs 0 or 1"
    );
}

#[test]
#[should_panic(expected = "got [3, 1] and [3, 1]")]
fn a_heteroscedastic_network_without_a_second_output_is_refused() {
    let device = Device::flex();
    HeteroscedasticLikelihoodConfig::new().init().nll(
        Tensor::zeros([3, 1], &device),
        Tensor::zeros([3, 1], &device),
    );
}

#[test]
#[should_panic(expected = "got [3, 1] and [1, 1]")]
fn targets_are_not_broadcast() {
    let device = Device::flex();
    PoissonLikelihoodConfig::new().init().nll(
        Tensor::zeros([3, 1], &device),
        Tensor::zeros([1, 1], &device),
    );
}

#[test]
#[should_panic(expected = "dispersion must be positive and finite, got 0")]
fn no_dispersion_at_all_is_refused() {
    negative_binomial(0.0, &Device::flex());
}

#[test]
#[should_panic(expected = "must lie in [0, 1), got 1")]
fn smoothing_away_all_labels_is_refused() {
    CategoricalLikelihoodConfig::new(3)
        .with_label_smoothing(1.0)
        .init();
}

/// `torch.nn.functional.cross_entropy(.., weight=.., label_smoothing=.., reduction="none")` of PyTorch 2.15.
#[test]
fn class_weights_are_those_of_pytorchs_cross_entropy() {
    let device = Device::flex();
    let logits = [[1.0, -0.5, 2.0], [0.3, 0.1, -1.2], [2.0, 0.0, 0.5]];
    let config = CategoricalLikelihoodConfig::new(3);
    let config = config.with_class_weights(Some(vec![0.5, 2.0, 1.25]));
    for (smoothing, expected) in [
        (0.0, [0.68576952, 1.82772321, 2.25794464]),
        (0.3, [1.16936580, 1.77460435, 2.28294464]),
    ] {
        let likelihood = config.clone().with_label_smoothing(smoothing).init();
        let logits = Tensor::<2>::from_floats(logits, &device);
        let labels = Tensor::<1, Int>::from_ints([0, 1, 2], &device);
        for (got, expected) in values(likelihood.nll(logits, labels)).iter().zip(expected) {
            assert_close(*got, expected, "weighted");
        }
    }
}

#[test]
fn class_weights_change_no_prediction_and_leave_a_bad_label_nan() {
    let device = Device::flex();
    let plain = CategoricalLikelihoodConfig::new(2).init();
    let weighted = CategoricalLikelihoodConfig::new(2).with_balanced_classes(&[9, 1]);
    let weighted = weighted.init();
    let logits = Tensor::<2>::from_floats([[1.0, -0.5]], &device);
    let probabilities = |likelihood: &CategoricalLikelihood| {
        let predictive = likelihood.predictive(vec![logits.clone()]);
        predictive.probabilities(0)
    };
    assert_eq!(probabilities(&weighted), probabilities(&plain));
    let bad = Tensor::<1, Int>::from_ints([2], &device);
    assert!(values(weighted.nll(logits, bad))[0].is_nan());
}

#[test]
#[should_panic(expected = "3 classes need as many class weights, got 2")]
fn a_class_without_a_weight_is_refused() {
    let weights = Some(vec![1.0, 2.0]);
    CategoricalLikelihoodConfig::new(3)
        .with_class_weights(weights)
        .init();
}

/// `torch.nn.functional.binary_cross_entropy_with_logits(.., pos_weight=.., reduction="none").sum(1)` of PyTorch 2.15.
#[test]
fn positive_weights_are_those_of_pytorchs_cross_entropy() {
    let device = Device::flex();
    let config = BernoulliLikelihoodConfig::new().with_targets(2);
    let config = config.with_positive_weights(Some(vec![3.0, 0.5]));
    let logits = Tensor::<2>::from_floats([[1.0, -0.5], [0.3, 2.0]], &device);
    let labels = Tensor::<2, Int>::from_ints([[1, 0], [0, 1]], &device);
    let nll = values(config.init().nll(logits, labels));
    for (got, expected) in nll.iter().zip([1.413862047, 0.91781925]) {
        assert_close(*got, expected, "weighted");
    }
}

/// As many numbers as so many rows of the right width have, too.
#[test]
fn outputs_of_another_width_have_no_prediction() {
    let device = Device::flex();
    fn check<L: Likelihood<Output = Tensor<2>>>(likelihood: &L, needs: usize) {
        for width in [1, 2, 3, 4, 6, 12].into_iter().filter(|w| *w != needs) {
            let draws =
                [needs, width].map(|width| Tensor::zeros([12 / width, width], &Device::flex()));
            let error = likelihood.try_predictive(draws.to_vec()).err().unwrap();
            assert!(
                matches!(error, PredictError::Shape { outputs, got, .. }
                    if outputs == needs && got == [12 / width, width]),
                "{error}"
            );
        }
        let right = Tensor::zeros([2, needs], &Device::flex());
        assert!(likelihood.try_predictive(vec![right; 2]).is_ok());
    }
    check(&CategoricalLikelihoodConfig::new(3).init(), 3);
    check(&BernoulliLikelihoodConfig::new().with_targets(2).init(), 2);
    check(&PoissonLikelihoodConfig::new().init(), 1);
    let heteroscedastic = HeteroscedasticLikelihoodConfig::new().with_targets(2);
    check(&heteroscedastic.init(), 4);
    let gaussian = GaussianLikelihoodConfig::new().with_targets(2);
    check(&gaussian.init(&device), 2);
    check(&LaplaceLikelihoodConfig::new().init(&device), 1);
    let student_t = StudentTLikelihoodConfig::new().with_targets(3);
    check(&student_t.init(&device), 3);
    let counts = NegativeBinomialLikelihoodConfig::new().with_targets(2);
    check(&counts.init(&device), 2);
}

#[test]
fn a_fixed_parameter_has_no_gradient_after_unfreeze_and_a_learned_one_has() {
    let device = Device::flex().autodiff();
    fn gradients<L>(likelihood: L, parameters: impl Fn(&L) -> Vec<&Param<Tensor<1>>>) -> Vec<bool>
    where
        L: Likelihood<Output = Tensor<2>, Target = Tensor<2>>,
    {
        let device = Device::flex().autodiff();
        let likelihood = likelihood.freeze().unfreeze();
        let output = column(&[0.3], &device).require_grad();
        let loss = likelihood.nll(output, column(&[2.0], &device)).backward();
        let has_gradient = |param: &Param<Tensor<1>>| param.val().grad(&loss).is_some();
        parameters(&likelihood)
            .into_iter()
            .map(has_gradient)
            .collect()
    }
    let [fixed, learned] = [LikelihoodParam::Fixed(0.4), LikelihoodParam::Learned(0.4)];
    for (param, learns) in [(fixed, false), (learned, true)] {
        let gaussian = GaussianLikelihoodConfig::new().with_noise(param);
        assert_eq!(
            gradients(gaussian.init(&device), |l| vec![&l.log_std]),
            [learns]
        );
        let laplace = LaplaceLikelihoodConfig::new().with_scale(param);
        assert_eq!(
            gradients(laplace.init(&device), |l| vec![&l.log_scale]),
            [learns]
        );
        let counts = NegativeBinomialLikelihoodConfig::new().with_dispersion(param);
        assert_eq!(
            gradients(counts.init(&device), |l| vec![&l.log_dispersion]),
            [learns]
        );
        for (other, other_learns) in [(fixed, false), (learned, true)] {
            let student_t = StudentTLikelihoodConfig::new()
                .with_scale(param)
                .with_degrees_of_freedom(other);
            let both = gradients(student_t.init(&device), |l| {
                vec![&l.log_scale, &l.log_degrees_of_freedom]
            });
            assert_eq!(both, [learns, other_learns]);
        }
    }
}
