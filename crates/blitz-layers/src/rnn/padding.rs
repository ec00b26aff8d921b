//! Sequences of different lengths in one batch.

use burn::tensor::{Bool, Int, Tensor, TensorData};

/// Which steps of a batch's sequences are padding.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for a whole call; a box would buy nothing"
)]
pub(crate) enum Padding {
    /// What each row has before its padding.
    Lengths(Vec<usize>),
    /// `[batch_size, seq_length]`, true for padding.
    Mask(Tensor<2, Bool>),
}

impl Padding {
    /// As `[seq_length, batch_size, 1]`, for a sequence `[seq_length, batch_size, features]`.
    ///
    /// # Panics
    ///
    /// Panics if it is of another batch, or if a length is 0 or above the sequence's.
    pub(crate) fn of(self, steps: &Tensor<3>) -> Tensor<3, Bool> {
        self.check(steps);
        let [seq_length, batch_size, _] = steps.dims();
        match self {
            Self::Mask(mask) => mask.swap_dims(0, 1).unsqueeze_dim(2),
            Self::Lengths(lengths) => {
                let lengths = lengths.into_iter().map(|length| length as i64).collect();
                let device = steps.device();
                let lengths = TensorData::new::<i64, _>(lengths, [1, batch_size]);
                let lengths = Tensor::<2, Int>::from_data(lengths, &device);
                let time = Tensor::<1, Int>::arange(0..seq_length as i64, &device);
                let time = time.unsqueeze_dim::<2>(1).expand([seq_length, batch_size]);
                let lengths = lengths.expand([seq_length, batch_size]);
                time.greater_equal(lengths).unsqueeze_dim(2)
            }
        }
    }

    /// Panics as [`of`](Self::of).
    pub(crate) fn check(&self, steps: &Tensor<3>) {
        let [seq_length, batch_size, _] = steps.dims();
        match self {
            Self::Mask(mask) => {
                assert!(
                    mask.dims() == [batch_size, seq_length],
                    "a mask of padding must have the shape [batch_size, seq_length] = {:?}, got {:?}",
                    [batch_size, seq_length],
                    mask.dims()
                );
            }
            Self::Lengths(lengths) => {
                assert!(
                    lengths.len() == batch_size,
                    "a batch of {batch_size} sequences needs as many lengths, got {}",
                    lengths.len()
                );
                for (row, length) in lengths.iter().enumerate() {
                    assert!(
                        (1..=seq_length).contains(length),
                        "lengths must lie between 1 and the {seq_length} steps of the batch, got {length} for sequence {row}"
                    );
                }
            }
        }
    }
}

/// Zeros in the padding.
pub(crate) fn zeroed(sequence: Tensor<3>, padding: &Tensor<3, Bool>) -> Tensor<3> {
    let shape = sequence.shape();
    sequence.mask_fill(padding.clone().expand(shape), 0.0)
}

/// The masks of the steps, in the order in which they are run through.
pub(crate) struct Held(Option<std::vec::IntoIter<Tensor<2, Bool>>>);

impl Held {
    pub(crate) fn new(padding: Option<Tensor<3, Bool>>, reverse: bool) -> Self {
        let steps = padding.map(|padding| {
            let steps = padding.iter_dim(0).map(|step| step.squeeze_dim::<2>(0));
            let mut steps: Vec<_> = steps.collect();
            if reverse {
                steps.reverse();
            }
            steps.into_iter()
        });
        Self(steps)
    }

    /// The mask of the next step and the state before it, if there is padding. Without, the state is not held on to.
    pub(crate) fn next<S>(&mut self, state: impl FnOnce() -> S) -> Option<(Tensor<2, Bool>, S)> {
        let steps = self.0.as_mut()?;
        Some((steps.next().expect("one for each step"), state()))
    }
}

/// The state after a step: of a row that has padding there, the one before.
pub(crate) fn held(after: Tensor<2>, before: Tensor<2>, mask: &Tensor<2, Bool>) -> Tensor<2> {
    let shape = after.shape();
    after.mask_where(mask.clone().expand(shape), before)
}
