//! What is wrong with draws, predictions, targets or settings.

/// Why draws make no mixture, or no interval of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MixtureError {
    /// A draw holds NaN or infinity.
    #[error("draw {draw}, example {example}: {what}")]
    NonFinite {
        /// The draw.
        draw: usize,
        /// The example, counted from 0 in its batch or, where a whole data loader is predicted, in that.
        example: usize,
        /// What is not finite.
        what: String,
    },
    /// An interval between quantiles of the draws lies beyond all of them.
    #[error(
        "an interval of level {level} between quantiles of the draws needs at least {needed} of them, got {draws}"
    )]
    TooFewDraws {
        /// The level asked for.
        level: f64,
        /// The least number of draws.
        needed: usize,
        /// The number of draws there are.
        draws: usize,
    },
}

/// What a metric or a calibration cannot be computed from: predictions, targets or a setting out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Nothing to compute from.
    #[error("there must be at least one {what}, got 0")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// A score of each class needs examples of it and of others.
    #[error("class {class}: there must be at least one {what}, got 0")]
    OfClass {
        /// The class.
        class: usize,
        /// What is missing.
        what: &'static str,
    },
    /// Two inputs that go together differ in length.
    #[error("{expected} {expected_of} need as many {what}, got {got}")]
    Length {
        /// What the length follows from.
        expected_of: &'static str,
        /// The length it needs.
        expected: usize,
        /// What has the wrong length.
        what: &'static str,
        /// Its length.
        got: usize,
    },
    /// Values that should be rows of equal width are not.
    #[error("{len} values are no whole number of rows of {width}")]
    Rows {
        /// How many values there are.
        len: usize,
        /// The width of a row.
        width: usize,
    },
    /// One of many values is out of range.
    #[error("{what} {index} must be {range}, got {value}")]
    Value {
        /// What the value is.
        what: &'static str,
        /// Its place, counted from 0.
        index: usize,
        /// The value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A number of a table is NaN or infinite.
    #[error("row {row}, column {column}: {value} is not finite (both counted from 0)")]
    Cell {
        /// The row, counted from 0.
        row: usize,
        /// The column, counted from 0.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A column of a table has no deviation that is a number.
    #[error("column {column} (counted from 0) can't be scaled: its variance is beyond the numbers")]
    Column {
        /// The column, counted from 0.
        column: usize,
    },
    /// The probabilities of an example don't sum to one.
    #[error(
        "the probabilities of example {example} must sum to 1, got {sum}: to 1e-4, which a softmax in half precision misses, and one in f32 does not"
    )]
    Sum {
        /// The example, counted from 0.
        example: usize,
        /// The sum.
        sum: f64,
    },
    /// A label that is no class.
    #[error("example {example}: there is no class {label} among {classes}")]
    Label {
        /// The example, counted from 0.
        example: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// The lower end of an interval is above its upper end.
    #[error("interval {index} must have lower <= upper, got [{lower}, {upper}]")]
    Interval {
        /// The interval's place, counted from 0.
        index: usize,
        /// Its lower end.
        lower: f64,
        /// Its upper end.
        upper: f64,
    },
    /// A setting is out of range.
    #[error("{what} must be {range}, got {value}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A draw has another number of values than the first.
    #[error("draw {draw} must have the {expected} values of draw 0, got {got}")]
    Draw {
        /// The draw.
        draw: usize,
        /// The values of the first draw.
        expected: usize,
        /// Its values.
        got: usize,
    },
    /// A draw's logit is NaN or infinite.
    #[error("draw {draw}, example {example}: a logit is {value}")]
    Logit {
        /// The draw.
        draw: usize,
        /// The example, counted from 0.
        example: usize,
        /// The value.
        value: f64,
    },
    /// More points are asked for than a pool has.
    #[error("{asked} points can't be chosen from a pool of {pool}")]
    Pool {
        /// The points there are.
        pool: usize,
        /// The points asked for.
        asked: usize,
    },
    /// No finite interval or set from so few examples has the level asked for.
    #[error(
        "conformal prediction at level {level} needs at least {needed} calibration examples, got {got}: hold out more, \
         or ask for a lower level"
    )]
    TooFewExamples {
        /// The level.
        level: f64,
        /// The fewest examples that suffice.
        needed: usize,
        /// The examples there are.
        got: usize,
    },
    /// Chains too short to say whether they have converged.
    #[error(
        "a chain needs at least {needed} draws to say whether it has converged, got {got}: draw more"
    )]
    TooFewDraws {
        /// The fewest draws that suffice.
        needed: usize,
        /// The draws that the chain has.
        got: usize,
    },
    /// All draws are the same number, so there is nothing to tell from them.
    #[error("all draws are {value}: the chains stand still, or the number is no random one")]
    Constant {
        /// What each of them is.
        value: f64,
    },
    /// The likelihood of the held-out labels has no unique, finite maximum.
    #[error("the likelihood of the held-out labels has no unique finite maximum: {reason}")]
    NoOptimum {
        /// Why.
        reason: &'static str,
    },
}

/// The value, or a panic that says what is wrong with the input.
#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T, InputError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
