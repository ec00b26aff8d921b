//! Draws by their rank: what makes the diagnostics indifferent to heavy tails.

use crate::distribution::{Distribution, Normal};

/// Each draw's rank among all, from 1. Draws that are equal share their mean rank.
pub(crate) fn ranks(chains: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let values: Vec<f64> = chains.iter().flatten().copied().collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut at = 0;
    while at < order.len() {
        let value = values[order[at]];
        let equal = order[at..]
            .iter()
            .take_while(|index| values[**index] == value)
            .count();
        let rank = at as f64 + (equal as f64 + 1.0) / 2.0;
        order[at..at + equal]
            .iter()
            .for_each(|index| ranks[*index] = rank);
        at += equal;
    }
    let mut ranks = ranks.into_iter();
    let of_chain = |chain: &Vec<f64>| ranks.by_ref().take(chain.len()).collect();
    chains.iter().map(of_chain).collect()
}

/// Each draw's normal score: the standard normal quantile of its rank, by Blom's formula.
pub(super) fn normal_scores(chains: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let standard = Normal {
        mean: 0.0,
        std: 1.0,
    };
    let size: usize = chains.iter().map(Vec::len).sum();
    let score = |rank: f64| standard.quantile((rank - 0.375) / (size as f64 + 0.25));
    let ranks = ranks(chains).into_iter();
    ranks
        .map(|chain| chain.into_iter().map(score).collect())
        .collect()
}
