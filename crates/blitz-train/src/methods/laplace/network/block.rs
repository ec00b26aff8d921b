//! The curvature of one tensor of weights.

use nalgebra::{DMatrix, DMatrixView};

use super::super::spectrum::Spectrum;

/// The longest side of a tensor whose factor is a whole matrix; a longer one has its diagonal.
const MAX_SIDE: usize = 2048;

/// Sums over examples of what is computed of a tensor's gradients, each a matrix D: the first axis are its rows, all
/// others together its columns.
#[derive(Debug)]
pub(super) enum BlockSums {
    /// `Σ D²`, number by number.
    Diagonal(Vec<f64>),
    /// `Σ D Dᵀ` and `Σ Dᵀ D`.
    Kronecker { rows: FactorSum, columns: FactorSum },
}

#[derive(Debug)]
pub(super) enum FactorSum {
    Whole(DMatrix<f64>),
    Diagonal(Vec<f64>),
}

impl BlockSums {
    pub(super) fn diagonal(len: usize) -> Self {
        Self::Diagonal(vec![0.0; len])
    }

    pub(super) fn kronecker(shape: &[usize]) -> Self {
        let rows = shape.first().copied().unwrap_or(1);
        Self::Kronecker {
            rows: FactorSum::new(rows),
            columns: FactorSum::new(shape.iter().skip(1).product()),
        }
    }

    pub(super) fn add(&mut self, gradient: &[f64]) {
        match self {
            Self::Diagonal(sums) => {
                sums.iter_mut()
                    .zip(gradient)
                    .for_each(|(sum, g)| *sum += g * g);
            }
            Self::Kronecker { rows, columns } => {
                // Row-major numbers are the columns of the transpose.
                let transpose = DMatrixView::from_slice(gradient, columns.side(), rows.side());
                rows.add(transpose);
                columns.add(transpose.transpose().as_view());
            }
        }
    }

    pub(super) fn block(self) -> Block {
        match self {
            Self::Diagonal(sums) => Block::Diagonal(sums),
            Self::Kronecker { rows, columns } => {
                let trace = columns.trace();
                Block::Kronecker {
                    rows: rows.factor(),
                    columns: columns.factor(),
                    trace,
                }
            }
        }
    }
}

impl FactorSum {
    fn new(side: usize) -> Self {
        match side <= MAX_SIDE {
            true => Self::Whole(DMatrix::zeros(side, side)),
            false => Self::Diagonal(vec![0.0; side]),
        }
    }

    fn side(&self) -> usize {
        match self {
            Self::Whole(sum) => sum.nrows(),
            Self::Diagonal(sum) => sum.len(),
        }
    }

    /// Adds `AᵀA`.
    fn add(&mut self, a: DMatrixView<'_, f64>) {
        match self {
            Self::Whole(sum) => sum.gemm_tr(1.0, &a, &a, 1.0),
            Self::Diagonal(sum) => {
                let squares = a.column_iter().map(|column| column.norm_squared());
                sum.iter_mut().zip(squares).for_each(|(sum, s)| *sum += s);
            }
        }
    }

    fn trace(&self) -> f64 {
        match self {
            Self::Whole(sum) => sum.trace(),
            Self::Diagonal(sum) => sum.iter().sum(),
        }
    }

    fn factor(self) -> Factor {
        match self {
            Self::Whole(sum) => Factor::Whole(Spectrum::new(sum)),
            Self::Diagonal(sum) => Factor::Diagonal(sum),
        }
    }
}

/// A positive semidefinite matrix over the numbers of a tensor.
#[derive(Debug, Clone)]
pub(super) enum Block {
    Diagonal(Vec<f64>),
    /// `rows ⊗ columns / trace`, whose trace is that of the matrix it stands for.
    Kronecker {
        rows: Factor,
        columns: Factor,
        trace: f64,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Factor {
    Whole(Spectrum),
    Diagonal(Vec<f64>),
}

impl Factor {
    fn values(&self) -> &[f64] {
        match self {
            Self::Whole(spectrum) => &spectrum.values,
            Self::Diagonal(values) => values,
        }
    }

    /// `Qᵀ M` with the eigenvectors Q.
    fn coordinates(&self, m: DMatrix<f64>) -> DMatrix<f64> {
        match self {
            Self::Whole(spectrum) => spectrum.matrix().tr_mul(&m),
            Self::Diagonal(_) => m,
        }
    }

    /// `Q M`.
    fn vectors(&self, m: DMatrix<f64>) -> DMatrix<f64> {
        match self {
            Self::Whole(spectrum) => spectrum.matrix() * m,
            Self::Diagonal(_) => m,
        }
    }
}

impl Block {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Diagonal(values) => values.len(),
            Self::Kronecker { rows, columns, .. } => rows.values().len() * columns.values().len(),
        }
    }

    /// The largest matrix that was decomposed.
    pub(super) fn largest_matrix(&self) -> usize {
        let side = |factor: &Factor| match factor {
            Factor::Whole(spectrum) => spectrum.dim(),
            Factor::Diagonal(_) => 1,
        };
        match self {
            Self::Diagonal(_) => 1,
            Self::Kronecker { rows, columns, .. } => side(rows).max(side(columns)),
        }
    }

    /// In the order of [`coordinates`](Self::coordinates).
    pub(super) fn eigenvalues(&self) -> Vec<f64> {
        match self {
            Self::Diagonal(values) => values.clone(),
            Self::Kronecker {
                rows,
                columns,
                trace,
            } => {
                // Gradients of zero have no curvature, and no trace either.
                let scale = if *trace > 0.0 { trace.recip() } else { 0.0 };
                let of_row = |row: &f64| {
                    let row = row * scale;
                    columns.values().iter().map(move |column| row * column)
                };
                rows.values().iter().flat_map(of_row).collect()
            }
        }
    }

    /// `Qᵀ x`, where Q has the eigenvectors for its columns.
    pub(super) fn coordinates(&self, x: &[f64]) -> Vec<f64> {
        self.turned(x, Factor::coordinates)
    }

    /// `Q c`.
    pub(super) fn vector(&self, c: &[f64]) -> Vec<f64> {
        self.turned(c, Factor::vectors)
    }

    fn turned(&self, x: &[f64], by: fn(&Factor, DMatrix<f64>) -> DMatrix<f64>) -> Vec<f64> {
        match self {
            Self::Diagonal(_) => x.to_vec(),
            Self::Kronecker { rows, columns, .. } => {
                let (n, m) = (rows.values().len(), columns.values().len());
                let transpose = DMatrix::from_column_slice(m, n, x);
                let turned = by(columns, transpose).transpose();
                by(rows, turned).transpose().as_slice().to_vec()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::numbers::normals;
    use super::*;

    fn gradients(len: usize) -> Vec<Vec<f64>> {
        (0..40).map(|i| normals(3, i, 0, len)).collect()
    }

    fn block(mut sums: BlockSums, gradients: &[Vec<f64>]) -> Block {
        gradients.iter().for_each(|g| sums.add(g));
        sums.block()
    }

    /// The whole matrix that a block stands for.
    fn matrix(block: &Block) -> DMatrix<f64> {
        let values = block.eigenvalues();
        let len = block.len();
        let column = |i: usize| {
            let mut unit = vec![0.0; len];
            unit[i] = 1.0;
            let c = block.coordinates(&unit);
            let scaled: Vec<f64> = c.iter().zip(&values).map(|(c, v)| c * v).collect();
            block.vector(&scaled)
        };
        DMatrix::from_vec(len, len, (0..len).flat_map(column).collect())
    }

    #[test]
    fn a_vector_of_weights_has_its_whole_matrix() {
        let gradients = gradients(5);
        let got = matrix(&block(BlockSums::kronecker(&[5]), &gradients));
        let expected: DMatrix<f64> = gradients
            .iter()
            .map(|g| DMatrix::from_column_slice(5, 1, g))
            .map(|g| &g * g.transpose())
            .sum();
        assert!((got - expected).amax() < 1e-10);
    }

    #[test]
    fn factors_are_those_of_a_kronecker_product() {
        // Gradients x gᵀ of inputs and outputs that are independent: all pairs of both.
        let inputs: Vec<Vec<f64>> = (0..3).map(|i| normals(1, i, 0, 4)).collect();
        let outputs: Vec<Vec<f64>> = (0..5).map(|i| normals(2, i, 0, 6)).collect();
        let mut expected = DMatrix::zeros(24, 24);
        let mut sums = BlockSums::kronecker(&[4, 6]);
        for x in &inputs {
            for g in &outputs {
                let gradient: Vec<f64> = x
                    .iter()
                    .flat_map(|x| g.iter().map(move |g| x * g))
                    .collect();
                sums.add(&gradient);
                let gradient = DMatrix::from_column_slice(24, 1, &gradient);
                expected += &gradient * gradient.transpose();
            }
        }
        assert!((matrix(&sums.block()) - expected).amax() < 1e-10);
    }

    #[test]
    fn the_trace_is_that_of_the_sum_of_squares() {
        let gradients = gradients(12);
        let squares: f64 = gradients.iter().flatten().map(|g| g * g).sum();
        for sums in [BlockSums::kronecker(&[3, 2, 2]), BlockSums::diagonal(12)] {
            let trace: f64 = block(sums, &gradients).eigenvalues().iter().sum();
            assert!((trace - squares).abs() < 1e-9 * squares);
        }
    }

    #[test]
    fn a_side_too_long_has_its_diagonal() {
        let len = MAX_SIDE + 1;
        let mut sums = BlockSums::kronecker(&[len, 2]);
        let mut gradient = vec![0.0; 2 * len];
        (gradient[0], gradient[1], gradient[2 * len - 1]) = (1.0, 2.0, 3.0);
        sums.add(&gradient);
        let values = sums.block().eigenvalues();
        // Rows have 5 and 9 of the trace of 14.
        let of_rows = |row: usize| values[2 * row] + values[2 * row + 1];
        assert!((of_rows(0) - 5.0).abs() < 1e-12);
        assert!((of_rows(len - 1) - 9.0).abs() < 1e-12);
        assert_eq!(of_rows(1), 0.0);
    }
}
