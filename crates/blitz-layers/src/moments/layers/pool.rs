//! Burn's poolings. Their `Same` leaves the dilation out of account, and so it is left out here.

use std::ops::Range;

use burn::nn::pool::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d,
};
use burn::tensor::{Slice, Tensor, TensorData};

use crate::moments::{ForwardMoments, Moments};
use crate::windows::{Padding, pool};

/// The windows of a pooling along one axis.
#[derive(Debug, Clone, Copy)]
struct Windows {
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Before the first element and after the last.
    padding: (usize, usize),
    ceil: bool,
}

impl Windows {
    /// From the first to the last element of a window.
    fn reach(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    /// The number of windows over so many elements: PyTorch's, and Burn's.
    ///
    /// # Panics
    ///
    /// Panics if no window fits.
    fn count(&self, length: usize) -> usize {
        let (padded, reach) = (length + self.padding.0 + self.padding.1, self.reach());
        if !self.ceil {
            assert!(
                padded >= reach,
                "a window of {reach} elements does not fit into {padded}"
            );
            return (padded - reach) / self.stride + 1;
        }
        // A window that is larger than all there is begins inside, and counts.
        let count = padded.saturating_sub(reach).div_ceil(self.stride) + 1;
        // No window begins in what was added at the end.
        let begins_outside = (count - 1) * self.stride >= length + self.padding.0;
        count - usize::from(begins_outside)
    }

    /// The elements in each window, padding left out.
    fn elements(&self, length: usize) -> Vec<f64> {
        let inside = |window: usize| {
            let places = (0..self.kernel).map(|k| window * self.stride + k * self.dilation);
            let inside = places.filter(|at| (self.padding.0..self.padding.0 + length).contains(at));
            inside.count() as f64
        };
        (0..self.count(length)).map(inside).collect()
    }
}

/// The largest of each window along an axis: of its first half and of its second, each likewise.
///
/// One after the other the first elements would count as a normal once for each that follows.
fn max_along<const D: usize>(input: Moments<D>, axis: usize, windows: Windows) -> Moments<D> {
    let length = input.dims()[axis];
    let count = windows.count(length);
    let (before, _) = windows.padding;
    let covered = (count - 1) * windows.stride + windows.reach();
    let padded = padded(input, axis, before, covered.saturating_sub(before + length));
    let element = |k: usize| {
        let first = k * windows.dilation;
        let last = first + (count - 1) * windows.stride;
        let mut slices = [Slice::full(); D];
        slices[axis] = Slice::new(
            first as isize,
            Some(last as isize + 1),
            windows.stride as isize,
        );
        padded.clone().arranged(|tensor| tensor.slice(slices))
    };
    largest(0..windows.kernel, &element)
}

/// The largest of these elements.
fn largest<const D: usize>(
    elements: Range<usize>,
    element: &impl Fn(usize) -> Moments<D>,
) -> Moments<D> {
    let Range { start, end } = elements;
    if end - start == 1 {
        return element(start);
    }
    let half = start + (end - start).div_ceil(2);
    largest(start..half, element).max_pair(largest(half..end, element))
}

/// With elements that are never the largest around an axis.
fn padded<const D: usize>(
    input: Moments<D>,
    axis: usize,
    before: usize,
    after: usize,
) -> Moments<D> {
    if before + after == 0 {
        return input;
    }
    // Finite, and so is its difference from anything that is no larger: its probability is zero, and so is its product
    // with it.
    let lowest = match input.mean.dtype() {
        burn::tensor::DType::F16 => -6e4,
        _ => -1e30,
    };
    let around = |length: usize| {
        let mut shape = input.dims();
        shape[axis] = length;
        let options = (&input.mean.device(), input.mean.dtype());
        (length > 0).then(|| Moments::certain(Tensor::full(shape, lowest, options)))
    };
    let parts = [around(before), Some(input.clone()), around(after)];
    Moments::cat(parts.into_iter().flatten().collect(), axis)
}

/// The largest of independent normals, by halves of a window along each axis; see [`Moments::max_pair`].
impl ForwardMoments<Moments<3>> for MaxPool1d {
    type Output = Moments<3>;

    fn forward_moments(&self, input: Moments<3>) -> Moments<3> {
        if input.variance.is_none() {
            return Moments::certain(self.forward(input.mean));
        }
        let [_, _, length] = input.dims();
        let (kernel, stride) = ([self.kernel_size], [self.stride]);
        let padding = self.padding.zeros(&[length], &kernel, &stride);
        let windows = Windows {
            kernel: self.kernel_size,
            stride: self.stride,
            dilation: self.dilation,
            padding: padding[0],
            ceil: self.ceil_mode,
        };
        max_along(input, 2, windows)
    }
}

/// The largest of independent normals, by halves of a window along each axis; see [`Moments::max_pair`].
impl ForwardMoments<Moments<4>> for MaxPool2d {
    type Output = Moments<4>;

    fn forward_moments(&self, input: Moments<4>) -> Moments<4> {
        if input.variance.is_none() {
            return Moments::certain(pool(self, input.mean));
        }
        let [_, _, height, width] = input.dims();
        let size = [height, width];
        let padding = self.padding.zeros(&size, &self.kernel_size, &self.stride);
        let windows = |axis: usize| Windows {
            kernel: self.kernel_size[axis],
            stride: self.stride[axis],
            dilation: self.dilation[axis],
            padding: padding[axis],
            ceil: self.ceil_mode,
        };
        // Rows that lie one after the other in memory first.
        max_along(max_along(input, 2, windows(0)), 3, windows(1))
    }
}

/// `average` of independent elements: the variance is that of their sum over the square of what it divides by.
/// `elements` are those in each window, padding left out.
fn averaged<const D: usize>(
    input: Moments<D>,
    elements: [Vec<f64>; 2],
    average: impl Fn(Tensor<D>) -> Tensor<D>,
) -> Moments<D> {
    let variance = input.variance.map(|variance| {
        let mut shape = variance.dims();
        (shape[0], shape[1]) = (1, 1);
        let options = (&variance.device(), variance.dtype());
        // The average of ones is the share of elements in what it divides by.
        let shares = average(Tensor::ones(shape, options));
        let [rows, columns] = elements;
        // A window of padding alone has the share 0, and is certain.
        let counts: Vec<f64> = rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| (row * column).max(1.0)))
            .collect();
        let counts = TensorData::new(counts, shares.dims());
        let counts = Tensor::from_data(counts, options);
        average(variance) * shares / counts
    });
    Moments {
        mean: average(input.mean),
        variance,
    }
}

/// Exact, of independent elements.
impl ForwardMoments<Moments<3>> for AvgPool1d {
    type Output = Moments<3>;

    fn forward_moments(&self, input: Moments<3>) -> Moments<3> {
        let [_, _, length] = input.dims();
        let (kernel, stride) = ([self.kernel_size], [self.stride]);
        let padding = self.padding.zeros(&[length], &kernel, &stride);
        let windows = Windows {
            kernel: self.kernel_size,
            stride: self.stride,
            dilation: 1,
            padding: padding[0],
            ceil: self.ceil_mode,
        };
        let elements = [vec![1.0], windows.elements(length)];
        averaged(input, elements, |tensor| self.forward(tensor))
    }
}

/// Exact, of independent elements.
impl ForwardMoments<Moments<4>> for AvgPool2d {
    type Output = Moments<4>;

    fn forward_moments(&self, input: Moments<4>) -> Moments<4> {
        let [_, _, height, width] = input.dims();
        let size = [height, width];
        let padding = self.padding.zeros(&size, &self.kernel_size, &self.stride);
        let elements = [0, 1].map(|axis| {
            let windows = Windows {
                kernel: self.kernel_size[axis],
                stride: self.stride[axis],
                dilation: 1,
                padding: padding[axis],
                ceil: self.ceil_mode,
            };
            windows.elements(size[axis])
        });
        averaged(input, elements, |tensor| self.forward(tensor))
    }
}

/// The elements in each window of an adaptive pooling of `length` elements to `count`.
fn adaptive(length: usize, count: usize) -> Vec<f64> {
    let window = |i: usize| ((i + 1) * length).div_ceil(count) - i * length / count;
    (0..count).map(|i| window(i) as f64).collect()
}

/// Exact, of independent elements.
impl ForwardMoments<Moments<3>> for AdaptiveAvgPool1d {
    type Output = Moments<3>;

    fn forward_moments(&self, input: Moments<3>) -> Moments<3> {
        let [_, _, length] = input.dims();
        let elements = [vec![1.0], adaptive(length, self.output_size)];
        averaged(input, elements, |tensor| self.forward(tensor))
    }
}

/// Exact, of independent elements.
impl ForwardMoments<Moments<4>> for AdaptiveAvgPool2d {
    type Output = Moments<4>;

    fn forward_moments(&self, input: Moments<4>) -> Moments<4> {
        let [_, _, height, width] = input.dims();
        let [rows, columns] = self.output_size;
        let elements = [adaptive(height, rows), adaptive(width, columns)];
        averaged(input, elements, |tensor| self.forward(tensor))
    }
}
