//! What a convolution refuses, at the boundary and with the value: below it, a size that is impossible becomes an
//! integer that wraps around.

use crate::windows::Padding;

/// One number for each axis of positions, which Burn holds as an array, or bare where there is one axis.
pub(super) trait Axes {
    fn axes(&self) -> &[usize];
}

impl Axes for usize {
    fn axes(&self) -> &[usize] {
        std::slice::from_ref(self)
    }
}

impl<const N: usize> Axes for [usize; N] {
    fn axes(&self) -> &[usize] {
        self
    }
}

/// Panics unless the channels divide into `groups`, and there is at least one of everything.
pub(super) fn config(channels: &[usize], groups: usize, positive: &[(&str, &dyn Axes)]) {
    let &[channels_in, channels_out] = channels else {
        unreachable!("a convolution goes from one number of channels to another")
    };
    assert!(
        channels_in > 0 && channels_out > 0,
        "a convolution needs at least one input and one output channel, got {channels_in} and {channels_out}"
    );
    assert!(
        groups > 0 && channels_in.is_multiple_of(groups) && channels_out.is_multiple_of(groups),
        "a convolution's channels must divide into its groups, got {channels_in} input and {channels_out} output \
         channels in {groups} groups"
    );
    for (name, value) in positive {
        assert!(
            !value.axes().contains(&0),
            "a convolution's {name} must be at least 1 on each axis, got {:?}",
            value.axes()
        );
    }
}

/// A kernel as it moves over an input, and its padding, on which the size of the output depends.
pub(super) struct Window<'a, P> {
    pub kernel_size: &'a [usize],
    pub stride: &'a [usize],
    pub dilation: &'a [usize],
    pub padding: P,
}

impl<P> Window<'_, P> {
    /// The positions a kernel reaches over on `axis`.
    pub fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
    }
}

/// That a window leaves something of an input.
pub(super) trait Fits {
    /// Panics unless the output has at least one position on each axis. `input` counts the positions of the input.
    fn assert_fits(&self, input: &[usize]);
}

impl<P: Padding> Fits for Window<'_, (&P,)> {
    fn assert_fits(&self, input: &[usize]) {
        let zeros = self.zeros(input);
        for (axis, &size) in input.iter().enumerate() {
            let (before, after) = zeros[axis];
            let (padded, reach) = (before + size + after, self.reach(axis));
            assert!(
                padded >= reach,
                "the kernel is larger than the padded input: on axis {axis} of {input:?}, {reach} (kernel {}, \
                 dilation {}) over {padded} ({size} before padding)",
                self.kernel_size[axis],
                self.dilation[axis]
            );
        }
    }
}

/// A transposed convolution: what `padding` cuts off at both ends, and `padding_out` adds at one.
impl<A: Axes> Fits for Window<'_, (&A, &A)> {
    fn assert_fits(&self, input: &[usize]) {
        let (padding, padding_out) = (self.padding.0.axes(), self.padding.1.axes());
        for (axis, &size) in input.iter().enumerate() {
            assert!(size > 0, "the input is empty: {input:?}");
            let full = (size - 1) * self.stride[axis] + self.reach(axis) + padding_out[axis];
            assert!(
                full > 2 * padding[axis],
                "the padding leaves nothing of the output: on axis {axis} of {input:?}, twice {} of {full}",
                padding[axis]
            );
        }
    }
}
