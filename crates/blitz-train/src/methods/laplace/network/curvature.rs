//! The curvature of a loss by all weights that train.

use std::iter::repeat_n;

use nalgebra::DMatrix;

use super::super::spectrum::Spectrum;
use super::WeightCovariance;
use super::block::{Block, BlockSums};
use super::random_weights::RandomWeight;

/// Gradients that are added up at once, as a product of matrices.
const AT_ONCE: usize = 64;

/// Sums over the gradients of examples.
#[derive(Debug)]
pub(super) struct Sums {
    /// The length of each float parameter in the module's order; none of one that stays as it is.
    lengths: Vec<Option<usize>>,
    of: Kind,
}

#[derive(Debug)]
enum Kind {
    /// `Σ g gᵀ` over all weights, and gradients that are not in it yet, one after the other.
    Joint(DMatrix<f64>, Vec<f64>),
    Blocks(Vec<BlockSums>),
}

impl Sums {
    /// Of float parameters, in the module's order; none stands for one that stays as it is.
    pub(super) fn new(covariance: WeightCovariance, weights: &[Option<RandomWeight>]) -> Self {
        let lengths = weights
            .iter()
            .map(|weight| Some(weight.as_ref()?.elements()));
        let lengths: Vec<_> = lengths.collect();
        let random = weights.iter().flatten();
        let of = match covariance {
            WeightCovariance::Joint => {
                let dim = lengths.iter().flatten().sum();
                Kind::Joint(DMatrix::zeros(dim, dim), Vec::new())
            }
            WeightCovariance::Kronecker => {
                let of_weight = |weight: &RandomWeight| BlockSums::kronecker(&weight.shape);
                Kind::Blocks(random.map(of_weight).collect())
            }
            WeightCovariance::Diagonal => {
                let of_weight = |weight: &RandomWeight| BlockSums::diagonal(weight.elements());
                Kind::Blocks(random.map(of_weight).collect())
            }
        };
        Self { lengths, of }
    }

    /// Adds a gradient, of the parameters in the module's order. One that got none has a gradient of 0.
    pub(super) fn add(&mut self, gradient: Vec<Option<Vec<f64>>>) {
        let parts = self.lengths.iter().zip(gradient);
        match &mut self.of {
            Kind::Joint(matrix, waiting) => {
                for (len, part) in parts {
                    match (len, part) {
                        (None, _) => {}
                        (Some(_), Some(part)) => waiting.extend(part),
                        (Some(len), None) => waiting.extend(repeat_n(0.0, *len)),
                    }
                }
                if waiting.len() >= AT_ONCE * matrix.nrows() {
                    add_products(matrix, waiting);
                }
            }
            Kind::Blocks(blocks) => {
                let random = parts.filter(|(len, _)| len.is_some());
                for (block, (_, part)) in blocks.iter_mut().zip(random) {
                    if let Some(part) = part {
                        block.add(&part);
                    }
                }
            }
        }
    }

    pub(super) fn curvature(self) -> WeightCurvature {
        let of = match self.of {
            Kind::Joint(mut matrix, mut waiting) => {
                add_products(&mut matrix, &mut waiting);
                Structure::Joint(Spectrum::new(matrix))
            }
            Kind::Blocks(blocks) => {
                Structure::Blocks(blocks.into_iter().map(BlockSums::block).collect())
            }
        };
        WeightCurvature {
            lengths: self.lengths,
            of,
        }
    }
}

fn add_products(matrix: &mut DMatrix<f64>, waiting: &mut Vec<f64>) {
    let dim = matrix.nrows();
    let columns = waiting.len() / dim;
    let gradients = DMatrix::from_vec(dim, columns, std::mem::take(waiting));
    matrix.gemm(1.0, &gradients, &gradients.transpose(), 1.0);
}

/// A positive semidefinite matrix over the weights of a network, by its eigenvectors.
#[derive(Debug, Clone)]
pub(super) struct WeightCurvature {
    lengths: Vec<Option<usize>>,
    of: Structure,
}

#[derive(Debug, Clone)]
enum Structure {
    Joint(Spectrum),
    Blocks(Vec<Block>),
}

impl WeightCurvature {
    /// The numbers of the parameters that the matrix is over, counted in the module's order, and their lengths.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (usize, usize)> {
        let tensors = self.lengths.iter().enumerate();
        tensors.filter_map(|(number, len)| Some((number, (*len)?)))
    }

    /// Numbers of all weights as those of each parameter, in the module's order.
    pub(super) fn by_tensor(&self, numbers: Vec<f64>) -> Vec<Option<Vec<f64>>> {
        let mut numbers = numbers.into_iter();
        let lengths = self.lengths.iter();
        lengths
            .map(|len| len.map(|len| numbers.by_ref().take(len).collect()))
            .collect()
    }

    /// Numbers of each parameter, in the module's order, as those of all weights.
    pub(super) fn flat(&self, by_tensor: Vec<Option<Vec<f64>>>) -> Vec<f64> {
        let parts = self.lengths.iter().zip(by_tensor);
        let random = parts.filter_map(|(len, part)| Some(((*len)?, part)));
        random
            .flat_map(|(len, part)| part.unwrap_or_else(|| vec![0.0; len]))
            .collect()
    }

    /// The blocks that are inverted each by itself: the number of weights, and the side of the largest matrix that was
    /// decomposed for it.
    pub(super) fn blocks(&self) -> Vec<(usize, usize)> {
        match &self.of {
            Structure::Joint(spectrum) => vec![(spectrum.dim(), spectrum.dim())],
            Structure::Blocks(blocks) => {
                let sizes = |block: &Block| (block.len(), block.largest_matrix());
                blocks.iter().map(sizes).collect()
            }
        }
    }

    /// In the order of [`coordinates`](Self::coordinates).
    pub(super) fn eigenvalues(&self) -> Vec<f64> {
        match &self.of {
            Structure::Joint(spectrum) => spectrum.values.clone(),
            Structure::Blocks(blocks) => blocks.iter().flat_map(Block::eigenvalues).collect(),
        }
    }

    /// `Qᵀ x`, where Q has the eigenvectors for its columns.
    pub(super) fn coordinates(&self, x: &[f64]) -> Vec<f64> {
        match &self.of {
            Structure::Joint(spectrum) => spectrum.coordinates(x),
            Structure::Blocks(blocks) => of_each(blocks, x, Block::coordinates),
        }
    }

    /// `Q c`.
    pub(super) fn vector(&self, c: &[f64]) -> Vec<f64> {
        match &self.of {
            Structure::Joint(spectrum) => spectrum.vector(c),
            Structure::Blocks(blocks) => of_each(blocks, c, Block::vector),
        }
    }
}

/// What each block makes of its stretch of numbers.
fn of_each(blocks: &[Block], x: &[f64], of: fn(&Block, &[f64]) -> Vec<f64>) -> Vec<f64> {
    let mut rest = x;
    let mut part = |block: &Block| {
        let (own, after) = rest.split_at(block.len());
        rest = after;
        of(block, own)
    };
    blocks.iter().flat_map(&mut part).collect()
}
