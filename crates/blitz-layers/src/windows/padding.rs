//! The zeros around an input, as Burn's layers are told.

use burn::nn::{PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};

/// A padding as Burn's layers are told.
pub(crate) trait Padding: Clone {
    /// The zeros before and after each axis; `None` where they depend on the input (`Same`).
    fn explicit(&self) -> Option<Vec<(usize, usize)>>;

    /// The padding with these zeros, or `None` if Burn has none.
    fn from_zeros(zeros: &[(usize, usize)]) -> Option<Self>;

    /// The zeros before and after each axis of an input of `size`, over which windows that `reach` over so many
    /// positions move by `stride`.
    fn zeros(&self, size: &[usize], reach: &[usize], stride: &[usize]) -> Vec<(usize, usize)> {
        self.explicit().unwrap_or_else(|| {
            let axes = size.iter().zip(reach).zip(stride);
            axes.map(|((size, reach), stride)| same(*size, *reach, *stride))
                .collect()
        })
    }
}

impl Padding for PaddingConfig1d {
    fn explicit(&self) -> Option<Vec<(usize, usize)>> {
        match self {
            Self::Same => None,
            Self::Valid => Some(vec![(0, 0)]),
            Self::Explicit(left, right) => Some(vec![(*left, *right)]),
        }
    }

    fn from_zeros(zeros: &[(usize, usize)]) -> Option<Self> {
        let (left, right) = zeros[0];
        Some(Self::Explicit(left, right))
    }
}

impl Padding for PaddingConfig2d {
    fn explicit(&self) -> Option<Vec<(usize, usize)>> {
        match self {
            Self::Same => None,
            Self::Valid => Some(vec![(0, 0); 2]),
            Self::Explicit(top, left, bottom, right) => {
                Some(vec![(*top, *bottom), (*left, *right)])
            }
        }
    }

    fn from_zeros(zeros: &[(usize, usize)]) -> Option<Self> {
        let ((top, bottom), (left, right)) = (zeros[0], zeros[1]);
        Some(Self::Explicit(top, left, bottom, right))
    }
}

impl Padding for PaddingConfig3d {
    fn explicit(&self) -> Option<Vec<(usize, usize)>> {
        match self {
            Self::Same => None,
            Self::Valid => Some(vec![(0, 0); 3]),
            Self::Explicit(depth, height, width) => {
                Some(vec![(*depth, *depth), (*height, *height), (*width, *width)])
            }
        }
    }

    fn from_zeros(zeros: &[(usize, usize)]) -> Option<Self> {
        let is_symmetric = zeros.iter().all(|(before, after)| before == after);
        is_symmetric.then(|| Self::Explicit(zeros[0].0, zeros[1].0, zeros[2].0))
    }
}

/// What `Same` adds before and after an axis, so that `⌈size / stride⌉` windows fit: the odd zero comes last.
fn same(size: usize, reach: usize, stride: usize) -> (usize, usize) {
    let covered = match size.div_ceil(stride) {
        0 => 0,
        windows => (windows - 1) * stride + reach,
    };
    let total = covered.saturating_sub(size);
    (total / 2, total - total / 2)
}
