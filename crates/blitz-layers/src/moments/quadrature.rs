//! Gauss–Hermite quadrature over a normal.

use blitz_core::in_type_of;
use burn::tensor::{DType, Tensor, TensorData};

use super::correlations::Correlations;
use super::hermite;
use super::value::{Moments, std_of};

/// The positive nodes and their weights of the rule of 16 nodes for the standard normal:
/// `numpy.polynomial.hermite_e.hermegauss(16)`, the weights divided by `√(2π)`.
pub(super) const NODES: [(f64, f64); 8] = [
    (0.3867606045005574, 0.286568521238012),
    (1.1638291005549648, 0.1583383727509497),
    (1.9519803457163334, 0.04728475235401406),
    (2.7602450476307014, 0.007266937601184749),
    (3.6008736241715487, 0.0005259849265739087),
    (4.492955302520011, 1.530003216248732e-05),
    (5.472225705949343, 1.309473216286817e-07),
    (6.630878198393129, 1.4978147231618412e-10),
];

impl<const D: usize, C: Correlations> Moments<D, C> {
    /// A smooth function of each element, by Gauss–Hermite quadrature with 16 nodes.
    ///
    /// Exact for polynomials: the mean up to degree 31, the variance up to degree 15. The error of a sigmoidal function
    /// grows with the deviation of its input. The largest errors of mean and deviation over means in [−8, 8], in parts
    /// of the input's deviation σ:
    ///
    /// | | σ = 0.5 | 1 | 2 | 4 |
    /// |---|---|---|---|---|
    /// | sigmoid | 1e-12 | 5e-8 | 7e-5 | 0.002 |
    /// | SiLU | 1e-11 | 3e-7 | 3e-4 | 0.005 |
    /// | GELU | 2e-11 | 6e-6 | 0.002 | 0.01 |
    /// | tanh | 3e-7 | 3e-4 | 0.008 | 0.02 |
    ///
    /// A function with a kink wants a closed form, such as [`relu`](Self::relu)'s.
    ///
    /// The function is taken at `m ± 6.6 σ` and between. Of a σ that is small beside the mean or beside 1, the
    /// differences have few digits in `f32`, and none where `m + σ` rounds to m.
    /// [`sigmoid`](Self::sigmoid), [`silu`](Self::silu), [`gelu`](Self::gelu) and [`tanh`](Self::tanh), which are known to have no narrower bends, are taken further apart there: their
    /// deviations are within 1e-4 σ for every σ below 0.005, in `f32`.
    ///
    /// ```
    /// use blitz_layers::moments::Moments;
    /// use burn::tensor::activation::softplus;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let x = Moments::new(Tensor::<1>::zeros([1], &device), Tensor::ones([1], &device));
    /// let y = x.by_quadrature(|x| softplus(x, 1.0));
    /// // scipy.integrate.quad(lambda x: log1p(exp(x)) * norm.pdf(x), -12, 12)
    /// assert!((y.mean.into_scalar::<f32>() - 0.806_059).abs() < 1e-5);
    /// ```
    #[must_use]
    pub fn by_quadrature(self, f: impl Fn(Tensor<D>) -> Tensor<D>) -> Self {
        self.of_values(
            &f,
            |mean, variance| quadrature(mean, variance, &f),
            |normals| hermite::by_quadrature(normals, &f),
        )
    }

    /// An activation, by the quadrature of [`by_quadrature`](Self::by_quadrature), with digits for small deviations.
    pub(super) fn of_activation(self, f: impl Fn(Tensor<D>) -> Tensor<D>) -> Self {
        self.of_values(
            &f,
            |mean, variance| quadrature_of_activation(mean, variance, &f),
            |normals| hermite::of_activation(normals, &f),
        )
    }
}

impl<const D: usize> Moments<D> {
    /// The means of several functions of each element, by the quadrature of [`by_quadrature`](Self::by_quadrature).
    ///
    /// `f` is called with the means, then with all nodes of all elements, in one dimension: a tenth of the operations,
    /// for small tensors, where each operation's overhead counts; of no elements it is not called. It needs the memory
    /// of sixteen tensors at once.
    ///
    /// ```
    /// use blitz_layers::moments::Moments;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let x = Moments::new(Tensor::<1>::from_floats([1.0, 2.0], &device), Tensor::ones([2], &device));
    /// let [square, exp] = x.expectations(|x| [x.clone().square(), x.exp()]);
    /// // m² + v
    /// square.into_data().assert_approx_eq::<f32>(&[2.0, 5.0].into(), Default::default());
    /// // exp(m + v / 2)
    /// exp.into_data().assert_approx_eq::<f32>(&[1.5f32.exp(), 2.5f32.exp()].into(), Default::default());
    /// ```
    #[must_use]
    pub fn expectations<const K: usize>(
        self,
        f: impl Fn(Tensor<1>) -> [Tensor<1>; K],
    ) -> [Tensor<D>; K] {
        let shape = self.mean.dims();
        let type_of_mean = self.mean.dtype();
        if shape.contains(&0) {
            let options = (&self.mean.device(), type_of_mean);
            return std::array::from_fn(|_| Tensor::zeros(shape, options));
        }
        let reshaped = |value: Tensor<1>| value.reshape(shape).cast(type_of_mean);
        let Some(variance) = self.variance else {
            return f(self.mean.flatten(0, D - 1)).map(reshaped);
        };
        let mean: Tensor<1> = in_type_of(self.mean, &variance).flatten(0, D - 1);
        let elements = mean.dims()[0];
        let table = |values: [f64; 16]| {
            let column = TensorData::new(values.to_vec(), [16, 1]);
            Tensor::<2>::from_data(column, (&mean.device(), mean.dtype()))
        };
        let steps =
            std_of(variance).reshape([1, elements]) * table(both_sides(|(node, _)| node, -1.0));
        let nodes = mean.clone().reshape([1, elements]) + steps;
        let weights = table(both_sides(|(_, weight)| weight, 1.0));
        let centers = f(mean.clone());
        let values = f(nodes.reshape([16 * elements]));
        std::array::from_fn(|k| {
            let (center, values) = (centers[k].clone(), values[k].clone());
            // By differences from the center, as `quadrature`.
            let differences = values.reshape([16, elements]) - center.clone().unsqueeze();
            let difference = (differences * weights.clone()).sum_dim(0);
            reshaped(center + difference.squeeze_dim(0))
        })
    }
}

/// One number of each node, then of its mirror image, which has the number times `sign`.
fn both_sides(number: impl Fn((f64, f64)) -> f64, sign: f64) -> [f64; 16] {
    std::array::from_fn(|index| match index {
        0..8 => number(NODES[index]),
        _ => sign * number(NODES[index - 8]),
    })
}

/// Mean and variance of `f(x)`, by differences from `f(mean)`: nothing cancels where the variance is small.
fn quadrature<const D: usize>(
    mean: Tensor<D>,
    variance: Tensor<D>,
    f: impl Fn(Tensor<D>) -> Tensor<D>,
) -> [Tensor<D>; 2] {
    let [mean, first, even, odd] = differences(mean, std_of(variance), f);
    let variance = odd + (even - first.clone().square());
    [mean + first, variance.clamp_min(0.0)]
}

/// The same of an activation, whose bends are about as wide as 1.
///
/// Where the deviation is so small that rounding is left of the differences, they are taken further apart, and shrunk:
/// the even ones with the square of the deviation, the odd ones with the deviation.
pub(super) fn quadrature_of_activation<const D: usize>(
    mean: Tensor<D>,
    variance: Tensor<D>,
    f: impl Fn(Tensor<D>) -> Tensor<D>,
) -> [Tensor<D>; 2] {
    let [std, share] = wide_enough(&mean, std_of(variance));
    let shrink = share.square();
    let [mean, first, even, odd] = differences(mean, std, f);
    let even = (even - first.clone().square()) * shrink.clone();
    let variance = (odd + even) * shrink.clone();
    [mean + first * shrink, variance.clamp_min(0.0)]
}

/// The deviation, or one whose differences are more than rounding if it is larger; and the share that the first is of it.
pub(super) fn wide_enough<const D: usize>(mean: &Tensor<D>, std: Tensor<D>) -> [Tensor<D>; 2] {
    // An infinite mean has finite steps.
    const FARTHEST: f64 = 1e30;
    // The cube root of the rounding: there it is about as large as the third derivative's share.
    let share = match mean.dtype() {
        DType::F64 => 6e-6,
        _ => 5e-3,
    };
    let size = mean.clone().detach().abs().clamp_max(FARTHEST);
    let least = size.add_scalar(1.0).mul_scalar(share);
    let is_wide = std.clone().greater_equal(least.clone());
    let share = std.clone() / least.clone();
    let share = share.mask_fill(is_wide.clone(), 1.0);
    [least.mask_where(is_wide, std), share]
}

/// `f(mean)`, and of the differences from it at the nodes of a deviation the mean, and the mean squares of their even
/// and of their odd part.
fn differences<const D: usize>(
    mean: Tensor<D>,
    std: Tensor<D>,
    f: impl Fn(Tensor<D>) -> Tensor<D>,
) -> [Tensor<D>; 4] {
    let center = f(mean.clone());
    let zeros = center.zeros_like();
    let (mut first, mut even, mut odd) = (zeros.clone(), zeros.clone(), zeros);
    for (node, weight) in NODES {
        let step = std.clone().mul_scalar(node);
        let above = f(mean.clone() + step.clone()) - center.clone();
        let below = f(mean.clone() - step) - center.clone();
        let sum = above.clone() + below.clone();
        first = first + sum.clone().mul_scalar(weight);
        even = even + sum.square().mul_scalar(0.5 * weight);
        odd = odd + (above - below).square().mul_scalar(0.5 * weight);
    }
    [center, first, even, odd]
}
