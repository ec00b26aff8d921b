//! Where the numbers of a convolution lie.

use std::mem::MaybeUninit;

use crate::kernels::convolution::Window;
use crate::kernels::cpu::lanes::{Float, WIDEST_PAIR};

/// The sizes of a convolution with a stride of 1.
///
/// An image is laid out anew with zeros around it. The zeros at the end of a row are those at the beginning of the
/// next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub images: usize,
    pub channels_in: usize,
    pub channels_out: usize,
    pub kernel: [usize; 2],
    /// Height and width of the input.
    pub input: [usize; 2],
    pub window: Window,
}

impl Geometry {
    pub fn of(input: [usize; 4], weight: [usize; 4], window: Window) -> Self {
        let [images, channels_in, height, width] = input;
        let [channels_out, _, kernel_height, kernel_width] = weight;
        Self {
            images,
            channels_in,
            channels_out,
            kernel: [kernel_height, kernel_width],
            input: [height, width],
            window,
        }
    }

    /// The convolution that has the gradient of the input as its output: of the gradient of the output, with the
    /// kernels turned around.
    pub fn backward(&self) -> Self {
        let window = Window {
            padding: [0, 1].map(|axis| {
                let reach = self.window.dilation[axis] * (self.kernel[axis] - 1);
                let (before, after) = self.window.padding[axis];
                (reach - before, reach - after)
            }),
            ..self.window
        };
        Self {
            channels_in: self.channels_out,
            channels_out: self.channels_in,
            input: self.output(),
            window,
            ..*self
        }
    }

    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            self.window
                .output(axis, self.input[axis], self.kernel[axis])
        })
    }

    pub fn input_area(&self) -> usize {
        self.input.iter().product()
    }

    pub fn output_area(&self) -> usize {
        self.output().iter().product()
    }

    /// The weights of one output channel.
    pub fn weights(&self) -> usize {
        self.channels_in * self.kernel[0] * self.kernel[1]
    }

    /// From one row of a padded image to the next.
    pub fn row(&self) -> usize {
        let (left, right) = self.window.padding[1];
        self.input[1] + left.max(right)
    }

    /// From one channel of a padded image to the next.
    fn plane(&self) -> usize {
        let (top, bottom) = self.window.padding[0];
        (top + self.input[0] + bottom) * self.row()
    }

    /// From the first position of the output to the last, as the padded rows lie.
    pub fn positions(&self) -> usize {
        let [height, width] = self.output();
        (height - 1) * self.row() + width
    }

    /// Where each weight finds the element that it multiplies at the first position.
    pub fn offsets(&self) -> Vec<usize> {
        let [height, width] = self.kernel;
        let [dilation_rows, dilation_columns] = self.window.dilation;
        let mut offsets = Vec::with_capacity(self.weights());
        for channel in 0..self.channels_in {
            for row in 0..height {
                let start = channel * self.plane() + row * dilation_rows * self.row();
                offsets.extend((0..width).map(|column| start + column * dilation_columns));
            }
        }
        offsets
    }

    /// A padded image without its elements, with room for registers that reach beyond its end.
    pub fn padded<E: Float>(&self) -> Vec<E> {
        let (left, right) = self.window.padding[1];
        vec![E::ZERO; self.channels_in * self.plane() + left.min(right) + WIDEST_PAIR]
    }

    /// Puts an image's elements into their places.
    pub fn pad<E: Float>(&self, image: &[E], padded: &mut [E]) {
        let [height, width] = self.input;
        let (top, left) = (self.window.padding[0].0, self.window.padding[1].0);
        for (i, row) in image.chunks_exact(width).enumerate() {
            let (channel, row_of) = (i / height, i % height);
            let start = channel * self.plane() + (top + row_of) * self.row() + left;
            copy(row, &mut padded[start..start + width], |element| element);
        }
    }

    /// Takes a channel's outputs from the sums at the positions of padded rows.
    pub fn unpad<E: Float>(&self, sums: &[E], output: &mut [MaybeUninit<E>]) {
        let rows = output.chunks_exact_mut(self.output()[1]);
        for (output, sums) in rows.zip(sums.chunks(self.row())) {
            copy(sums, output, MaybeUninit::new);
        }
    }
}

/// Copies the elements of a row, eight at a time, the last of them once more if they are no multiple: that is quicker
/// than a call for each row.
///
/// # Panics
///
/// Panics if there are fewer elements than places.
fn copy<E: Copy, P>(elements: &[E], places: &mut [P], put: impl Fn(E) -> P) {
    const TOGETHER: usize = 8;

    let len = places.len();
    let elements = &elements[..len];
    let last = len.saturating_sub(TOGETHER);
    for start in (0..len).step_by(TOGETHER) {
        let start = start.min(last);
        let elements = &elements[start..];
        let places = &mut places[start..];
        if let (Some(elements), Some(places)) = (
            elements.first_chunk::<TOGETHER>(),
            places.first_chunk_mut::<TOGETHER>(),
        ) {
            *places = elements.map(&put);
        } else {
            for (place, element) in places.iter_mut().zip(elements) {
                *place = put(*element);
            }
        }
    }
}
