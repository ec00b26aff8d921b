//! Functions of normals: their moments against numerical integration, in the tails, and where the variance vanishes.

use blitz_core::kernels::{larger_moments, leaky_relu_moments, without_fused};
use blitz_layers::moments::{ForwardMoments, Moments};
use burn::nn::Gelu;
use burn::nn::pool::MaxPool1dConfig;
use burn::tensor::activation::{gelu, leaky_relu, relu, sigmoid, silu, tanh};
use burn::tensor::{DType, Device, Tensor, TensorData, Tolerance};

use crate::statistics::values;

/// Mean and deviation of x, and those of f(x).
type Case = (f64, f64, f64, f64);

// Of moments_reference.py.
const RELU: [Case; 8] = [
    (0.0, 1.0, 0.3989422804014327, 0.5838193701035489),
    (0.7, 0.01, 0.7, 0.01),
    (-0.4, 0.5, 0.06010361694738269, 0.1590910371351522),
    (0.4, 1.0, 0.630438836947453, 0.7142437603911204),
    (-3.0, 1.0, 0.0003821543170477236, 0.01425794650589227),
    (2.5, 2.0, 2.601173736610906, 1.820502798356954),
    (-1.0, 3.0, 0.7627083428972159, 1.407316489782465),
    (5.0, 0.5, 5.0, 0.5),
];
const LEAKY_RELU: [Case; 8] = [
    (0.0, 1.0, 0.3590480523612894, 0.6132572837688638),
    (0.7, 0.01, 0.7, 0.01),
    (-0.4, 0.5, 0.01409325525264442, 0.1803733877117435),
    (0.4, 1.0, 0.6073949532527077, 0.7356579873749441),
    (-3.0, 1.0, -0.299656061114657, 0.1020178698411752),
    (2.5, 2.0, 2.591056362949815, 1.835336159510982),
    (-1.0, 3.0, 0.5864375086074943, 1.514177047128078),
    (5.0, 0.5, 5.0, 0.5),
];
const GELU: [Case; 8] = [
    (0.0, 1.0, 0.2820947917738781, 0.5879149692126839),
    (0.7, 0.01, 0.5306490182996007, 0.009765814356281613),
    (-0.4, 0.5, -0.06042709039051889, 0.1628861910855851),
    (0.4, 1.0, 0.5155742146183115, 0.727453520710109),
    (-3.0, 1.0, -0.02110970798112657, 0.03882607569443309),
    (2.5, 2.0, 2.552548532623129, 1.866231516730212),
    (-1.0, 3.0, 0.7041202365641977, 1.422314748594785),
    (5.0, 0.5, 4.9999846894144, 0.5000304688546247),
];
const SIGMOID: [Case; 8] = [
    (0.0, 1.0, 0.5, 0.2082763449316628),
    (0.7, 0.01, 0.6681840433835384, 0.00221709839113394),
    (-0.4, 0.5, 0.4066372564020118, 0.1143919810362602),
    (0.4, 1.0, 0.5819882773248661, 0.2039134537400638),
    (-3.0, 1.0, 0.06932385800428577, 0.0685288015164006),
    (2.5, 2.0, 0.8271423313019984, 0.2185146710249346),
    (-1.0, 3.0, 0.3867526054707761, 0.3564660923340399),
    (5.0, 0.5, 0.9924388302875848, 0.003980014769094165),
];
const SILU: [Case; 8] = [
    (0.0, 1.0, 0.206620964141907, 0.5595384678415068),
    (0.7, 0.01, 0.4677510012896794, 0.008233776815114567),
    (-0.4, 0.5, -0.1056054343651907, 0.1787472351553258),
    (0.4, 1.0, 0.4344925366950462, 0.6828103974095507),
    (-3.0, 1.0, -0.1481497099344441, 0.07194535382250161),
    (2.5, 2.0, 2.448772762723629, 1.886320726957241),
    (-1.0, 3.0, 0.604209968365202, 1.422016842748805),
    (5.0, 0.5, 4.964066190914782, 0.5140342960764207),
];
const TANH: [Case; 8] = [
    (0.0, 1.0, 0.0, 0.6279287303491067),
    (0.7, 0.01, 0.6043294189702489, 0.006347688357344164),
    (-0.4, 0.5, -0.3202861980235337, 0.382855295653469),
    (0.4, 1.0, 0.2384616031288307, 0.604813908139506),
    (-3.0, 1.0, -0.9716034244777132, 0.08618779933255402),
    (2.5, 2.0, 0.7461587707781208, 0.5039078811544879),
    (-1.0, 3.0, -0.2505587107976329, 0.8337149489390641),
    (5.0, 0.5, 0.9998503267833624, 0.0001960882725794126),
];
const MAX: [([f64; 4], f64, f64); 4] = [
    ([0.0, 1.0, 0.0, 1.0], 0.5641895835477563, 0.8256452711765564),
    ([1.0, 0.5, 0.2, 2.0], 1.483599967517164, 0.9684792565679079),
    (
        [-2.0, 0.1, -2.05, 0.02],
        -1.979521422323786,
        0.07457776041922691,
    ),
    ([3.0, 1.0, -3.0, 1.0], 3.000003355034978, 0.9999899348387853),
];

/// Means and deviations.
type Function = fn(Moments<1>) -> Moments<1>;
type OfTensor = fn(Tensor<1>) -> Tensor<1>;

fn tensor(values: Vec<f64>, dtype: DType) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), (&Device::flex(), dtype))
}

fn normals(cases: &[(f64, f64)], dtype: DType) -> Moments<1> {
    let means = cases.iter().map(|(mean, _)| *mean).collect();
    let variances = cases.iter().map(|(_, std)| std * std).collect();
    Moments::new(tensor(means, dtype), tensor(variances, dtype))
}

/// The errors of mean, in parts of |m| + σ, and variance, in parts of σ², whichever is larger, for each case.
fn errors(f: Function, cases: &[Case], dtype: DType) -> Vec<f64> {
    let inputs: Vec<_> = cases.iter().map(|(m, s, ..)| (*m, *s)).collect();
    let output = f(normals(&inputs, dtype));
    let (means, variances) = (values(output.mean.clone()), values(output.variance()));
    let of_case = |(i, (m, s, mean, std)): (usize, &Case)| {
        let of_mean = (means[i] - mean).abs() / (m.abs() + s);
        let of_variance = (variances[i] - std * std).abs() / (s * s);
        of_mean.max(of_variance)
    };
    cases.iter().enumerate().map(of_case).collect()
}

#[test]
fn rectified_normals_have_their_exact_moments() {
    let functions: [(&str, Function, &[Case]); 2] = [
        ("relu", Moments::relu, &RELU),
        ("leaky relu", |x| x.leaky_relu(0.1), &LEAKY_RELU),
    ];
    for (name, f, cases) in functions {
        for (dtype, bound) in [(DType::F64, 1e-13), (DType::F32, 5e-7)] {
            let errors = errors(f, cases, dtype);
            assert!(errors.iter().all(|e| *e < bound), "{name}: {errors:?}");
        }
    }
}

#[test]
fn the_larger_of_two_normals_has_its_exact_moments() {
    // In f32 1 − Φ(α) is rounded to 3e-8, which counts α² times: here 18 times, of a θ² of twice the unit.
    for (dtype, bound) in [(DType::F64, 1e-13), (DType::F32, 2e-6)] {
        for ([m1, s1, m2, s2], mean, std) in MAX {
            let (a, b) = (normals(&[(m1, s1)], dtype), normals(&[(m2, s2)], dtype));
            for larger in [a.clone().max_pair(b.clone()), b.max_pair(a)] {
                let size = s1.max(s2);
                let of_mean = (values(larger.mean.clone())[0] - mean).abs() / (m1.abs() + size);
                let of_variance = (values(larger.variance())[0] - std * std).abs() / (size * size);
                assert!(of_mean.max(of_variance) < bound, "{of_mean}, {of_variance}");
            }
        }
    }
}

/// Mean and deviation of the largest of the normals in each row, by integration of its density Σ pᵢ Π Fⱼ.
fn largest_of(means: &Tensor<2>, stds: [f64; 4]) -> [Vec<f64>; 2] {
    let means = [0, 1, 2, 3].map(|i| means.clone().narrow(1, i, 1));
    let each = || means.iter().cloned().zip(stds);
    // Below all but nine deviations of any one of them there is nothing of the largest.
    let ends = |sign: f64| {
        let ends = each().map(|(mean, std)| mean + sign * 9.0 * std);
        Tensor::cat(ends.collect(), 1).max_dim(1)
    };
    let (low, high) = (ends(-1.0), ends(1.0));
    let share = tensor((0..800).map(|k| f64::from(k) / 799.0).collect(), DType::F64);
    let x = low.clone() + (high - low) * share.unsqueeze::<2>();
    let z: Vec<_> = each().map(|(m, s)| (x.clone() - m) / s).collect();
    let below = z
        .iter()
        .map(|z| (z.clone() * 0.5f64.sqrt()).erf() * 0.5 + 0.5);
    let below: Vec<_> = below.collect();
    let mut density = x.zeros_like();
    for i in 0..4 {
        let of_one = (z[i].clone().square() * -0.5).exp() / stds[i];
        let others = (0..4).filter(|j| *j != i);
        density = density + others.fold(of_one, |p, j| p * below[j].clone());
    }
    let density = density.clone() / density.sum_dim(1);
    let mean = (density.clone() * x.clone()).sum_dim(1);
    let variance = (density * (x - mean.clone()).square()).sum_dim(1);
    [values(mean), values(variance.sqrt())]
}

#[test]
fn the_largest_of_four_is_as_near_as_stated_wherever_their_means_are() {
    let pool = MaxPool1dConfig::new(4).init();
    for (wide, least, most_off) in [(1.0, 0.964, 0.004), (4.0, 0.744, 0.1), (12.0, 0.457, 0.16)] {
        let mut means = Vec::new();
        for first in -8..=4 {
            for second in -8..=8 {
                for third in -4..=4 {
                    let in_deviations = f64::from(first) * wide / 4.0;
                    let second = f64::from(second) * wide / 8.0;
                    means.extend([in_deviations, second, 0.5 * f64::from(third), 0.0]);
                }
            }
        }
        // Where a search found the deviation furthest off.
        means.extend([-3.38, -2.06, 0.0, 0.0, -16.44, -8.19, 0.0, 0.0]);
        means.extend([-3.18, -3.29, -1.6, -0.12, 1.15, 0.0, 1.15, 0.0]);
        let rows = means.len() / 4;
        let means = tensor(means, DType::F64).reshape([rows, 4]);
        let stds = [wide, 1.0, 1.0, 1.0];
        let variances = tensor(stds.map(|std| std * std).to_vec(), DType::F64);
        let input = Moments::new(
            means.clone().reshape([rows, 1, 4]),
            variances.reshape([1, 1, 4]).expand([rows, 1, 4]),
        );
        let largest = pool.forward_moments(input);
        let [mean, std] = largest_of(&means, stds);
        let shares = values(largest.std_dev()).into_iter().zip(&std);
        let shares: Vec<f64> = shares.map(|(got, std)| got / std).collect();
        let smallest = shares.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(
            smallest > least && smallest < least + 0.002,
            "one of {wide}: {smallest} of the deviation"
        );
        assert!(shares.iter().all(|share| *share < 1.002));
        for ((got, mean), std) in values(largest.mean).into_iter().zip(mean).zip(std) {
            let off = (got - mean).abs() / std;
            assert!(
                off < most_off,
                "one of {wide}: the mean is off by {off} deviations"
            );
        }
    }
}

/// The errors that `by_quadrature` states for σ ≤ 0.5, 1, 2 and 4: of the mean in parts of σ, and of the deviation,
/// whose square is compared here.
#[test]
fn smooth_functions_are_within_the_stated_errors() {
    let functions: [(&str, Function, &[Case], [f64; 4]); 4] = [
        (
            "sigmoid",
            Moments::sigmoid,
            &SIGMOID,
            [1e-12, 5e-8, 7e-5, 2e-3],
        ),
        ("silu", Moments::silu, &SILU, [1e-11, 3e-7, 3e-4, 5e-3]),
        ("gelu", Moments::gelu, &GELU, [2e-11, 6e-6, 2e-3, 1e-2]),
        ("tanh", Moments::tanh, &TANH, [3e-7, 3e-4, 8e-3, 2e-2]),
    ];
    for (name, f, cases, bounds) in functions {
        let errors = errors(f, cases, DType::F64);
        for ((m, s, ..), error) in cases.iter().zip(&errors) {
            let column = [0.5, 1.0, 2.0, 4.0].iter().position(|largest| s <= largest);
            // Var f ≤ σ² max f'², so that an error of the deviation is at most twice as large in the variance, and
            // these slopes are below 1.13.
            let bound = 2.3 * bounds[column.unwrap()];
            assert!(
                *error < bound,
                "{name} of N({m}, {s}²): {error} over {bound}"
            );
        }
        let in_f32 = self::errors(f, &cases[..4], DType::F32);
        for (error, more) in errors.iter().zip(in_f32) {
            // By differences at 1e-2, of numbers rounded to 6e-8.
            assert!(more < error + 2e-5, "{name}: {more} in f32, {error} in f64");
        }
    }
}

#[test]
fn the_mean_of_gelu_is_exact() {
    let inputs: Vec<_> = GELU.iter().map(|(m, s, ..)| (*m, *s)).collect();
    let means = values(normals(&inputs, DType::F64).gelu().mean);
    for ((.., mean, _), exact) in GELU.iter().zip(means) {
        assert!((mean - exact).abs() < 1e-14, "{mean}, {exact}");
    }
}

#[test]
fn what_is_far_from_zero_is_rectified_as_it_is() {
    for dtype in [DType::F64, DType::F32] {
        let far = [
            (3.0, 1e-12),
            (-3.0, 1e-12),
            (1e6, 1.0),
            (-1e6, 1.0),
            (1e20, 1e-3),
        ];
        let output = normals(&far, dtype).relu();
        for (i, (m, s)) in far.into_iter().enumerate() {
            let (mean, variance) = (values(output.mean.clone())[i], values(output.variance())[i]);
            let given = values(tensor(vec![m], dtype))[0];
            assert_eq!(mean, given.max(0.0));
            let expected = if m > 0.0 { s * s } else { 0.0 };
            assert!(
                (variance - expected).abs() <= 1e-6 * expected,
                "{variance}, {expected}"
            );
        }
    }
}

#[test]
fn without_variance_every_function_is_itself() {
    let functions: [(Function, OfTensor); 6] = [
        (Moments::relu, relu),
        (|x| x.leaky_relu(0.1), |x| leaky_relu(x, 0.1)),
        (Moments::gelu, gelu),
        (Moments::silu, silu),
        (Moments::sigmoid, sigmoid),
        (Moments::tanh, tanh),
    ];
    for dtype in [DType::F64, DType::F32] {
        let cases = [-30.0, -1.0, -1e-8, 0.0, 0.3, 2.0, 30.0].map(|mean| (mean, 0.0));
        let x = normals(&cases, dtype);
        for (i, (moments, f)) in functions.into_iter().enumerate() {
            let expected = values(f(x.mean.clone()));
            let output = moments(x.clone());
            let largest = values(output.mean.clone()).into_iter().zip(&expected);
            let largest = largest.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(largest < 2e-7, "function {i}: {largest}");
            assert_eq!(values(output.variance()), [0.0; 7], "function {i}");
            let certain = moments(Moments::certain(x.mean.clone()));
            assert!(certain.variance.is_none());
            assert_eq!(values(certain.mean), expected, "function {i}");
        }
        let zero = normals(&[(0.0, 0.0)], dtype);
        let larger = zero.clone().max_pair(zero);
        assert_eq!(
            (values(larger.mean.clone()), values(larger.variance())),
            (vec![0.0], vec![0.0])
        );
    }
}

#[test]
fn a_small_variance_is_scaled_by_the_squared_slope() {
    let std = 1e-5;
    let cases = [(-1.3, std), (-0.2, std), (0.4, std), (2.1, std)];
    let x = normals(&cases, DType::F64);
    let functions: [Function; 6] = [
        Moments::relu,
        |x| x.leaky_relu(0.1),
        Moments::gelu,
        Moments::silu,
        Moments::sigmoid,
        Moments::tanh,
    ];
    for (i, f) in functions.into_iter().enumerate() {
        let at = |shift: f64| values(f(Moments::certain(x.mean.clone() + shift)).mean);
        let slopes = at(1e-6)
            .into_iter()
            .zip(at(-1e-6))
            .map(|(a, b)| (a - b) / 2e-6);
        for (variance, slope) in values(f(x.clone()).variance()).into_iter().zip(slopes) {
            let expected = (slope * std).powi(2);
            assert!(
                (variance - expected).abs() < 1e-7 * std * std,
                "function {i}: {variance}, {expected}"
            );
        }
    }
}

/// In `f32` too, where the mean and the deviation may be the mean once more, or the function of both be that of the
/// mean.
#[test]
fn an_activations_small_deviation_keeps_its_digits() {
    let approximate = |x| ForwardMoments::forward_moments(&Gelu::new_approximate(), x);
    let functions: [&dyn Fn(Moments<1>) -> Moments<1>; 5] = [
        &Moments::gelu,
        &Moments::silu,
        &Moments::sigmoid,
        &Moments::tanh,
        &approximate,
    ];
    let mut cases = vec![(0.4, 2e-3), (0.4, 4.9e-3), (10.0, 1e-2)];
    for std in [1e-12, 1e-8, 1e-7, 1e-6, 1e-4] {
        cases.extend([-1.3, 0.0, 0.4, 1.0, 3.0, 10.0].map(|mean| (mean, std)));
    }
    for (i, f) in functions.into_iter().enumerate() {
        for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::F64, 2e-5)] {
            let x = normals(&cases, dtype);
            let exact = normals(&cases, DType::F64).mean;
            let at = |shift: f64| values(f(Moments::certain(exact.clone() + shift)).mean);
            let slopes = at(1e-6).into_iter().zip(at(-1e-6));
            let slopes = slopes.map(|(a, b)| (a - b).abs() / 2e-6);
            let moments = f(x);
            for ((variance, slope), (mean, std)) in values(moments.variance())
                .into_iter()
                .zip(slopes)
                .zip(&cases)
            {
                let off = variance.sqrt() / std - slope;
                assert!(off.abs() < tolerance, "function {i} {mean} {std}: {off}");
            }
            for (got, exact) in values(moments.mean.clone()).into_iter().zip(at(0.0)) {
                assert!((got - exact).abs() < 2e-5, "function {i}: {got}, {exact}");
            }
        }
    }
}

/// Of `E max(x, 0)` and of `E gelu(x)` at `N(1, 1)`, by the variance.
#[test]
fn gradients_of_double_precision_have_its_digits() {
    let device = Device::flex().autodiff();
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let h = 0.5f64.sqrt();
    // d/dv of m Φ(h) + v φ(h)/√(1 + v) with h = m/√(1 + v).
    let of_gelu = density(h) * (h - h.powi(3) + 0.5 * h.powi(5));
    let of_rectified = 0.5 * density(1.0);
    let one = || Tensor::<1>::from_data([1.0], (&device, DType::F64));
    let gradient = |f: &dyn Fn(Moments<1>) -> Tensor<1>| {
        let variance = one().require_grad();
        let grads = f(Moments::new(one(), variance.clone())).backward();
        variance.grad(&grads).unwrap().into_scalar::<f64>()
    };
    let rectified = || gradient(&|x| x.relu().mean);
    for (got, expected) in [
        (rectified(), of_rectified),
        (without_fused(rectified), of_rectified),
        (gradient(&|x| x.gelu().mean), of_gelu),
    ] {
        assert!((got / expected - 1.0).abs() < 1e-13, "{got}, {expected}");
    }
}

#[test]
fn quadrature_is_exact_for_polynomials() {
    let (m, s) = (0.7, 1.3f64);
    let cube = normals(&[(m, s)], DType::F64).by_quadrature(|x| x.powi_scalar(3));
    let mean = m.powi(3) + 3.0 * m * s * s;
    let variance = 15.0 * s.powi(6) + 36.0 * m * m * s.powi(4) + 9.0 * m.powi(4) * s * s;
    assert!((values(cube.mean.clone())[0] / mean - 1.0).abs() < 1e-12);
    assert!((values(cube.variance())[0] / variance - 1.0).abs() < 1e-12);
}

#[test]
fn sums_and_products_of_independent_parts_are_exact() {
    let (a, b) = (
        normals(&[(2.0, 0.5)], DType::F64),
        normals(&[(-1.0, 3.0)], DType::F64),
    );
    let sum = a.clone() + b.clone();
    assert_eq!(
        (values(sum.mean.clone()), values(sum.variance())),
        (vec![1.0], vec![9.25])
    );
    let product = a.product(b);
    // E x² E y² − (E x E y)² = 4.25 · 10 − 4.
    assert_eq!(
        (values(product.mean.clone()), values(product.variance())),
        (vec![-2.0], vec![38.5])
    );
}

#[test]
fn one_pass_over_memory_is_what_tensor_operations_compute() {
    let device = Device::flex();
    let n = 20_001; // of two chunks, the last not whole
    let x = crate::seeded::normals::<1>(81, [n], &device) * 3.0;
    let x = Moments::new(x, crate::seeded::normals::<1>(82, [n], &device).square());
    let y = crate::seeded::normals::<1>(83, [n], &device) * 3.0;
    let y = Moments::new(y, crate::seeded::normals::<1>(84, [n], &device).square());
    let both: [&dyn Fn() -> Moments<1>; 3] =
        [&|| x.clone().relu(), &|| x.clone().leaky_relu(0.3), &|| {
            x.clone().max_pair(y.clone())
        }];
    for f in both {
        let (fused, plain) = (f(), without_fused(f));
        for (a, b) in [
            (fused.mean.clone(), plain.mean.clone()),
            (fused.variance(), plain.variance()),
        ] {
            let largest = values((a - b).abs().max())[0];
            assert!(largest < 1e-5, "{largest}");
        }
    }
}

#[test]
fn the_moments_of_rectified_normals_have_gradients() {
    let device = Device::flex().autodiff();
    let mean = Tensor::<1>::from_floats([0.4, -1.0], &device).require_grad();
    let variance = Tensor::<1>::from_floats([0.5, 2.0], &device).require_grad();
    let output = Moments::new(mean.clone(), variance.clone()).relu();
    let grads = output.mean.sum().backward();
    // dE/dm = Φ(α), dE/dv = φ(α) / 2√v.
    let expected = [(0.714_196, 0.240_385), (0.239_750, 0.109_848)];
    let of_mean = values(mean.grad(&grads).unwrap());
    let of_variance = values(variance.grad(&grads).unwrap());
    for (i, (m, v)) in expected.into_iter().enumerate() {
        assert!((of_mean[i] - m).abs() < 1e-4, "{}", of_mean[i]);
        assert!((of_variance[i] - v).abs() < 1e-4, "{}", of_variance[i]);
    }
}

/// To what the rounding of a few terms in `f32` allows: the largest has the factors (1 − slope)² and σ.
#[test]
fn the_gradients_of_rectified_moments_are_those_of_tensor_operations() {
    let device = Device::flex();
    let n = 20_001; // of two chunks, the last not whole
    // From deep in one half to deep in the other, and from certain to wide.
    let mean = crate::seeded::normals::<1>(91, [n], &device) * 4.0;
    let variance = (crate::seeded::normals::<1>(92, [n], &device) * 3.0).exp();
    let stds = values(variance.clone().sqrt());
    for slope in [0.0, 0.3, -1.0_f64] {
        let gradients = |dtype: DType, moment: usize, needed: [bool; 2]| {
            let leaf = |x: &Tensor<1>, needed| {
                let x = Tensor::from_inner(x.clone().cast(dtype));
                if needed { x.require_grad() } else { x }
            };
            let (m, v) = (leaf(&mean, needed[0]), leaf(&variance, needed[1]));
            let x = Moments::new(m.clone(), v.clone()).leaky_relu(slope);
            let loss = [x.mean.clone(), x.variance()][moment].clone().sum();
            let grads = loss.backward();
            [m, v].map(|leaf| leaf.grad(&grads).map(values))
        };
        for moment in [0, 1] {
            let all = gradients(DType::F32, moment, [true; 2]);
            // In `f64`, where an `erf` has all its digits.
            let exact = gradients(DType::F64, moment, [true; 2]);
            let bound = 1e-6 * (1.0 + (1.0 - slope).powi(2));
            for (got, exact) in all.iter().flatten().zip(exact.iter().flatten()) {
                for (at, (got, exact)) in got.iter().zip(exact).enumerate() {
                    let error = (got - exact).abs() / (1.0 + exact.abs() + stds[at]);
                    assert!(
                        error < bound,
                        "slope {slope}, moment {moment}, element {at}: {got} for {exact}"
                    );
                }
            }
            // One of the two may be a constant.
            let [of_mean, of_variance] = all;
            let of_one = |needed| gradients(DType::F32, moment, needed);
            assert_eq!(of_one([true, false]), [of_mean, None]);
            assert_eq!(of_one([false, true]), [None, of_variance]);
        }
    }
}

#[test]
#[should_panic(expected = "of one shape, got [2, 1] and [2, 3]")]
fn rectified_normals_need_a_variance_for_each_mean() {
    let device = Device::flex();
    let _ = leaky_relu_moments(
        Tensor::<2>::zeros([2, 1], &device),
        Tensor::ones([2, 3], &device),
        0.0,
    );
}

/// Where biases start, and where a pooling meets a constant region.
#[test]
fn gradients_are_right_where_a_mean_is_zero_and_where_two_are_equal() {
    let device = Device::flex().autodiff();
    let leaf = |value: f32| Tensor::<1>::from_floats([value], &device).require_grad();
    let density = 1.0 / std::f64::consts::TAU.sqrt();
    let check = |what: &str, output: Tensor<1>, leaves: &[&Tensor<1>], expected: &[f64]| {
        let grads = output.backward();
        for (leaf, expected) in leaves.iter().zip(expected) {
            let got = values(leaf.grad(&grads).unwrap())[0];
            assert!(
                (got - expected).abs() < 1e-6,
                "{what}: {got} for {expected}"
            );
        }
    };
    for zero in [0.0, -0.0] {
        let (mean, variance) = (leaf(zero), leaf(1.0));
        let moments = || Moments::new(mean.clone(), variance.clone());
        let leaves = [&mean, &variance];
        // dE/dm = Φ(0), dE/dv = φ(0)/2, dVar/dm = φ(0), dVar/dv = ½ − 1/2π.
        let share = 0.5 - density * density;
        check(
            "E relu",
            moments().relu().mean,
            &leaves,
            &[0.5, density / 2.0],
        );
        check(
            "Var relu",
            moments().relu().variance(),
            &leaves,
            &[density, share],
        );
        // |x|: E = √(2v/π) and Var = v − E², at m = 0.
        let folded = || moments().leaky_relu(-1.0);
        check("E |x|", folded().mean, &leaves, &[0.0, density]);
        check(
            "Var |x|",
            folded().variance(),
            &leaves,
            &[0.0, 1.0 - 4.0 * density * density],
        );
    }
    let [m1, v1, m2, v2] = [0.7, 3.0, 0.7, 1.0].map(leaf);
    let larger = || {
        let second = Moments::new(m2.clone(), v2.clone());
        Moments::new(m1.clone(), v1.clone()).max_pair(second)
    };
    let leaves = [&m1, &v1, &m2, &v2];
    // θ = 2: dE/dv = φ(0)/2θ; dVar/dm₁ = (v₁ − v₂) φ(0)/θ; dVar/dv = ½ − φ(0)².
    let by_variance = density / 4.0;
    check(
        "E max",
        larger().mean,
        &leaves,
        &[0.5, by_variance, 0.5, by_variance],
    );
    let share = 0.5 - density * density;
    check(
        "Var max",
        larger().variance(),
        &leaves,
        &[density, share, -density, share],
    );
}

#[test]
fn gradients_are_finite_where_a_variance_is_zero() {
    let device = Device::flex().autodiff();
    let with_lowest: Function = |x| {
        let lowest = x.mean.full_like(-1e30);
        x.max_pair(Moments::certain(lowest))
    };
    let functions: [(&str, Function); 8] = [
        ("relu", Moments::relu),
        ("leaky relu", |x| x.leaky_relu(0.1)),
        ("the larger one of it and padding", with_lowest),
        ("the larger one of two", |x| x.clone().max_pair(x)),
        ("gelu", Moments::gelu),
        ("silu", Moments::silu),
        ("sigmoid", Moments::sigmoid),
        ("tanh", Moments::tanh),
    ];
    let means = vec![-2.0, 3.0, 0.0, 0.4, -2.0, 1.0];
    let variances = vec![0.0, 0.0, 0.0, 1e-36, 0.01, 2.0];
    for dtype in [DType::F32, DType::F64] {
        let input = |values: &Vec<f64>| {
            let data = TensorData::new(values.clone(), [values.len()]);
            Tensor::<1>::from_data(data, (&device, dtype)).require_grad()
        };
        for (name, f) in functions {
            let (mean, variance) = (input(&means), input(&variances));
            let output = f(Moments::new(mean.clone(), variance.clone()));
            let loss = output.mean.clone() + output.variance() + output.std_dev();
            let grads = loss.sum().backward();
            let [of_mean, of_variance] =
                [&mean, &variance].map(|input| values(input.grad(&grads).unwrap()));
            let all = || of_mean.iter().chain(&of_variance);
            assert!(
                all().all(|value| value.is_finite()),
                "{name} in {dtype:?}: {of_mean:?}, {of_variance:?}"
            );
            if name == "relu" {
                assert_eq!(of_mean[..2], [0.0, 1.0]);
            }
        }
    }
}

#[test]
fn a_nan_is_the_moments_of_a_nan() {
    for (mean, variance) in [(f64::NAN, 1.0), (f64::NAN, 0.0), (0.5, f64::NAN)] {
        for dtype in [DType::F32, DType::F64] {
            let x = Moments::new(tensor(vec![mean], dtype), tensor(vec![variance], dtype));
            let relu = without_fused(|| x.clone().relu());
            assert!(values(relu.mean)[0].is_nan(), "N({mean}, {variance})");
        }
    }
}

#[test]
fn half_precision_has_the_moments_of_what_is_certain() {
    let half = |values: &[f64]| tensor(values.to_vec(), DType::F16);
    let (means, zeros) = ([-1.5, 0.0, 2.5], [0.0; 3]);
    let [mean, variance] = leaky_relu_moments(half(&means), half(&zeros), 0.0);
    assert_eq!(mean.dtype(), DType::F16);
    assert_eq!(
        (values(mean), values(variance)),
        (vec![0.0, 0.0, 2.5], zeros.to_vec())
    );
    let [mean, variance] =
        larger_moments([half(&means), half(&zeros)], [half(&zeros), half(&zeros)]);
    assert_eq!(
        (values(mean), values(variance)),
        (vec![0.0, 0.0, 2.5], zeros.to_vec())
    );
}

#[test]
fn expectations_of_several_functions_are_those_of_each() {
    let device = Device::flex();
    let tensor = |values: [[f64; 2]; 3]| Tensor::<2>::from_data(values, (&device, DType::F64));
    let means = tensor([[-1.0, 0.0], [0.5, 3.0], [-8.0, 2.0]]);
    let variances = tensor([[0.0, 1.0], [4.0, 0.1], [1e-8, 16.0]]);
    for x in [
        Moments::new(means.clone(), variances),
        Moments::certain(means),
    ] {
        let [tanh, square] = x.clone().expectations(|x| [x.clone().tanh(), x.square()]);
        let each = [x.clone().tanh().mean, x.by_quadrature(|x| x.square()).mean];
        for (both, each) in [tanh, square].into_iter().zip(each) {
            assert_eq!(both.dims(), each.dims());
            let tolerance = Tolerance::<f64>::rel_abs(1e-13, 1e-13);
            both.into_data()
                .assert_approx_eq(&each.into_data(), tolerance);
        }
    }
}
