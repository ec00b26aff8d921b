//! Which weights of a module: by path, by the type of the layer that owns them, by rank, or the last layer alone.

use burn::config::Config;
use burn::module::ParamGroup;

use super::walk::Weight;
use crate::family::posterior::WeightInfo;

/// A choice among the weights of a module; a weight that is tied is chosen if it is at one of its places. For
/// [`BayesianizeConfig`](crate::BayesianizeConfig),
/// [`MopedConfig`](crate::MopedConfig) and configuration files. A `&str` is a [`path`](Self::path).
///
/// | filter | the weights it matches |
/// |---|---|
/// | `All` | all |
/// | `Path("encoder")` | whose path, or a module on it, matches the pattern, see [`path`](Self::path) |
/// | `Regex("layers\\.[0-3]\\.")` | whose path the regular expression matches somewhere |
/// | `Layer("Linear")` | that are fields of a module of this type |
/// | `Inside("TransformerEncoder")` | of all modules inside a module of this type |
/// | `MinRank(2)` | with at least this many axes: no biases, no gains of a norm |
/// | `LastLayer` | of the module that owns the last matrix of the traversal, see [`last_layer`](Self::last_layer) |
/// | `Group(group)` | of Burn's [`ParamGroup`], by path or id |
/// | `Any([...])`, `Every([...])`, `Not(...)` | of one of them; of all of them; of none |
///
/// ```
/// use blitz_core::prelude::*;
///
/// let no_norms_no_biases = WeightFilter::matrices();
/// let weights_of_the_encoder = WeightFilter::path("encoder").and(WeightFilter::matrices());
/// let all_but_embeddings = WeightFilter::layer("Embedding").not();
/// # let _ = (no_norms_no_biases, weights_of_the_encoder, all_but_embeddings);
/// ```
#[derive(Config, Debug)]
#[non_exhaustive]
pub enum WeightFilter {
    /// Every weight.
    All,
    /// By path; see [`WeightFilter::path`].
    Path(String),
    /// By a regular expression that matches somewhere in the path.
    Regex(String),
    /// By the type of the module that owns the weight.
    Layer(String),
    /// By the type of any module that contains the weight.
    Inside(String),
    /// By the least number of axes.
    MinRank(usize),
    /// The last layer; see [`WeightFilter::last_layer`].
    LastLayer,
    /// By Burn's group.
    Group(ParamGroup),
    /// What one of the filters matches.
    Any(Vec<WeightFilter>),
    /// What all of the filters match.
    Every(Vec<WeightFilter>),
    /// What the filter does not match.
    Not(Box<WeightFilter>),
}

impl WeightFilter {
    /// Every weight.
    pub fn all() -> Self {
        Self::All
    }

    /// The weights at a path, or inside a module at that path: `"encoder"` matches `encoder.linear1.weight`, not
    /// `encoder2.weight`.
    ///
    /// `*` stands for any characters within one component, and `**` for any number of components:
    /// `"layers.*.mha"`, `"**.bias"`. A path counts the variants of a module that is an enum: `"norm.Layer.gamma"`.
    pub fn path(pattern: impl Into<String>) -> Self {
        Self::Path(pattern.into())
    }

    /// The weights whose path the regular expression matches somewhere.
    pub fn regex(pattern: impl Into<String>) -> Self {
        Self::Regex(pattern.into())
    }

    /// The weights that are fields of a module of type `name`, e.g. `"Linear"`.
    pub fn layer(name: impl Into<String>) -> Self {
        Self::Layer(name.into())
    }

    /// All weights inside a module of type `name`, e.g. `"TransformerEncoder"`.
    pub fn inside(name: impl Into<String>) -> Self {
        Self::Inside(name.into())
    }

    /// The weights with at least two axes: neither biases nor the gains and shifts of norms, which are vectors.
    pub fn matrices() -> Self {
        Self::MinRank(2)
    }

    /// The last layer: the module that owns the last trained weight with at least two axes, with its bias.
    ///
    /// The owner is that of [`layer`](Self::layer): of the parameters in a list, the module that has the list.
    ///
    /// "Last" is the order in which modules are declared, since nothing else is known of a network before it runs:
    /// the last field of the struct, as a rule. Where the output is declared before other layers, name its path.
    pub fn last_layer() -> Self {
        Self::LastLayer
    }

    /// The weights that both match.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        Self::Every(vec![self, other.into()])
    }

    /// The weights that either matches.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        Self::Any(vec![self, other.into()])
    }

    /// The weights that it does not match.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // Reads on in a chain; `!filter` would have to be wrapped in brackets.
    pub fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Whether the filter matches `weight`.
    ///
    /// # Panics
    ///
    /// Panics if a pattern is not a regular expression.
    pub fn matches(&self, weight: &WeightInfo<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Path(pattern) => path_matches(pattern, weight.path),
            Self::Regex(pattern) => match regex_group(pattern) {
                Ok(group) => group.matches(&weight.id, Some(weight.path)),
                Err(reason) => panic!("{pattern:?} is no regular expression: {reason}"),
            },
            Self::Layer(name) => weight.modules.last().is_some_and(|owner| owner == name),
            Self::Inside(name) => weight.modules.iter().any(|module| module == name),
            Self::MinRank(rank) => weight.shape.num_dims() >= *rank,
            Self::LastLayer => weight.in_last_layer,
            Self::Group(group) => group.matches(&weight.id, Some(weight.path)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(weight)),
            Self::Every(filters) => filters.iter().all(|filter| filter.matches(weight)),
            Self::Not(filter) => !filter.matches(weight),
        }
    }

    /// Whether the filter matches the weight at one of its places.
    pub(super) fn matches_somewhere(&self, weight: &Weight) -> bool {
        weight.infos().any(|info| self.matches(&info))
    }

    /// The first pattern that is not a regular expression, and what is wrong with it.
    pub(super) fn invalid_regex(&self) -> Option<(String, String)> {
        match self {
            Self::Regex(pattern) => {
                let reason = regex_group(pattern).err()?;
                Some((pattern.clone(), reason))
            }
            Self::Any(filters) | Self::Every(filters) => {
                filters.iter().find_map(Self::invalid_regex)
            }
            Self::Not(filter) => filter.invalid_regex(),
            _ => None,
        }
    }
}

impl From<&str> for WeightFilter {
    fn from(path: &str) -> Self {
        Self::path(path)
    }
}

impl From<String> for WeightFilter {
    fn from(path: String) -> Self {
        Self::path(path)
    }
}

impl From<ParamGroup> for WeightFilter {
    fn from(group: ParamGroup) -> Self {
        Self::Group(group)
    }
}

/// Burn compiles the expression, so that there is one dialect.
#[cfg(feature = "std")]
fn regex_group(pattern: &str) -> Result<ParamGroup, String> {
    use burn::module::ParamGroupError;

    ParamGroup::from_regex(pattern).map_err(|ParamGroupError::InvalidPatternError(reason)| reason)
}

#[cfg(not(feature = "std"))]
fn regex_group(_pattern: &str) -> Result<ParamGroup, String> {
    Err("regular expressions need the `std` feature".into())
}

fn path_matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let path: Vec<&str> = path.split('.').collect();
    components_match(&pattern, &path)
}

/// Whether `pattern` matches `path` or its beginning.
fn components_match(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => true,
        Some((&"**", rest)) => (0..=path.len()).any(|skip| components_match(rest, &path[skip..])),
        Some((first, rest)) => path.split_first().is_some_and(|(component, path)| {
            component_matches(first.as_bytes(), component.as_bytes())
                && components_match(rest, path)
        }),
    }
}

fn component_matches(pattern: &[u8], component: &[u8]) -> bool {
    match pattern.split_first() {
        None => component.is_empty(),
        Some((b'*', rest)) => {
            (0..=component.len()).any(|skip| component_matches(rest, &component[skip..]))
        }
        Some((byte, rest)) => component
            .split_first()
            .is_some_and(|(first, component)| first == byte && component_matches(rest, component)),
    }
}

#[cfg(test)]
mod tests {
    use super::path_matches;

    #[test]
    fn a_path_matches_itself_and_what_is_inside_it() {
        assert!(path_matches("encoder", "encoder.linear.weight"));
        assert!(path_matches(
            "encoder.linear.weight",
            "encoder.linear.weight"
        ));
        assert!(!path_matches("encoder", "encoder2.weight"));
        assert!(!path_matches("linear", "encoder.linear.weight"));
        assert!(!path_matches(
            "encoder.linear.weight.x",
            "encoder.linear.weight"
        ));
    }

    #[test]
    fn a_star_stays_within_a_component_and_two_stars_do_not() {
        assert!(path_matches("layers.*.mha", "layers.10.mha.query.weight"));
        assert!(!path_matches("*.mha", "layers.10.mha.query.weight"));
        assert!(path_matches("**.mha", "layers.10.mha.query.weight"));
        assert!(path_matches("**.bias", "bias"));
        assert!(path_matches("lin*r", "linear.weight"));
        assert!(!path_matches("lin*r", "linears.weight"));
        assert!(path_matches("a.**.c.*", "a.b.c.c.d"));
        assert!(!path_matches("a.**.c.*", "a.b.c"));
    }
}
