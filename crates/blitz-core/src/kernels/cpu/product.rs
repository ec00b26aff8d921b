//! The product of a few rows with a matrix that stays in the cache, added to what is there.
//!
//! A product for matrices of any size rearranges both first. For a few rows that takes longer than the product.

use pulp::{Simd, WithSimd};

use super::lanes::{Float, Registers};

/// The most rows whose sums stay in registers.
const MOST_ROWS: usize = 6;

/// `out += left · right`, of `[rows, inner]` and `[inner, columns]`, all in row-major order.
pub(super) fn add_product<E: Float>(
    registers: Registers,
    left: &[E],
    right: &[E],
    out: &mut [E],
    [inner, columns]: [usize; 2],
) {
    assert!(
        right.len() == inner * columns && left.len() * columns == out.len() * inner,
        "no product of {} and {} numbers into {}",
        left.len(),
        right.len(),
        out.len()
    );
    registers.run(AddProduct {
        left,
        right,
        out,
        inner,
        columns,
    });
}

struct AddProduct<'a, E> {
    left: &'a [E],
    right: &'a [E],
    out: &'a mut [E],
    inner: usize,
    columns: usize,
}

impl<E: Float> WithSimd for AddProduct<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Of registers of 64 bytes there are 32, of others maybe 16.
        if size_of::<E::Lanes<S>>() == 64 {
            self.run::<S, 4>(simd);
        } else {
            self.run::<S, 2>(simd);
        }
    }
}

impl<E: Float> AddProduct<'_, E> {
    /// `W` registers of columns side by side, then one, then the rest number by number.
    #[inline(always)]
    fn run<S: Simd, const W: usize>(mut self, simd: S) {
        let lanes = size_of::<E::Lanes<S>>() / size_of::<E>();
        let mut column = 0;
        while column + W * lanes <= self.columns {
            self.all_rows::<S, W>(simd, column);
            column += W * lanes;
        }
        while column + lanes <= self.columns {
            self.all_rows::<S, 1>(simd, column);
            column += lanes;
        }
        if column < self.columns {
            self.rest(column);
        }
    }

    #[inline(always)]
    fn all_rows<S: Simd, const W: usize>(&mut self, simd: S, column: usize) {
        let rows = self.out.len() / self.columns;
        let mut row = 0;
        while row < rows {
            let count = MOST_ROWS.min(rows - row);
            match count {
                1 => self.block::<S, W, 1>(simd, row, column),
                2 => self.block::<S, W, 2>(simd, row, column),
                3 => self.block::<S, W, 3>(simd, row, column),
                4 => self.block::<S, W, 4>(simd, row, column),
                5 => self.block::<S, W, 5>(simd, row, column),
                _ => self.block::<S, W, MOST_ROWS>(simd, row, column),
            }
            row += count;
        }
    }

    /// `R` rows of `W` registers.
    #[inline(always)]
    fn block<S: Simd, const W: usize, const R: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
    ) {
        let width = W * (size_of::<E::Lanes<S>>() / size_of::<E>());
        let place = |r: usize| (row + r) * self.columns + column;
        let mut sums: [[E::Lanes<S>; W]; R] = std::array::from_fn(|r| {
            let registers = E::registers::<S>(&self.out[place(r)..][..width]);
            std::array::from_fn(|w| registers[w])
        });
        let left: [&[E]; R] =
            std::array::from_fn(|r| &self.left[(row + r) * self.inner..][..self.inner]);
        for k in 0..self.inner {
            let right = E::registers::<S>(&self.right[k * self.columns + column..][..width]);
            let right: [E::Lanes<S>; W] = std::array::from_fn(|w| right[w]);
            for (sums, left) in sums.iter_mut().zip(left) {
                let left = E::splat(simd, left[k]);
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = E::multiply_add(simd, left, right, *sum);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let start = (row + r) * self.columns + column;
            E::registers_mut::<S>(&mut self.out[start..][..width]).copy_from_slice(sums);
        }
    }

    /// The columns from `first` on, fewer than a register has.
    #[inline(always)]
    fn rest(&mut self, first: usize) {
        let rows = self.out.chunks_exact_mut(self.columns);
        for (out, left) in rows.zip(self.left.chunks_exact(self.inner)) {
            for (left, right) in left.iter().zip(self.right.chunks_exact(self.columns)) {
                for (out, right) in out[first..].iter_mut().zip(&right[first..]) {
                    *out = *out + *left * *right;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_that_of_a_plain_loop_on_all_registers() {
        for [rows, inner, columns] in [
            [1, 1, 1],
            [2, 3, 15],
            [3, 5, 16],
            [5, 7, 31],
            [6, 2, 64],
            [7, 4, 100],
            [13, 9, 147],
        ] {
            let wave = |len: usize, step: f64| -> Vec<f64> {
                (0..len).map(|i| (step * i as f64).sin()).collect()
            };
            let (left, right) = (wave(rows * inner, 0.7), wave(inner * columns, 1.3));
            let start = wave(rows * columns, 0.4);
            let expected: Vec<f64> = (0..rows * columns)
                .map(|i| {
                    let (row, column) = (i / columns, i % columns);
                    let terms =
                        (0..inner).map(|k| left[row * inner + k] * right[k * columns + column]);
                    start[i] + terms.sum::<f64>()
                })
                .collect();
            for registers in Registers::available() {
                let mut out = start.clone();
                add_product(*registers, &left, &right, &mut out, [inner, columns]);
                let single = |values: &[f64]| -> Vec<f32> {
                    values.iter().map(|value| *value as f32).collect()
                };
                let mut single_out = single(&start);
                let (left, right) = (single(&left), single(&right));
                add_product(*registers, &left, &right, &mut single_out, [inner, columns]);
                for ((got, single), expected) in out.iter().zip(&single_out).zip(&expected) {
                    assert!((got - expected).abs() < 1e-14 * inner as f64);
                    assert!((f64::from(*single) - expected).abs() < 1e-6 * inner as f64);
                }
            }
        }
    }
}
