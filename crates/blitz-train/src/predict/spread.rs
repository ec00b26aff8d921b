//! The order in which a prediction takes the draws of a chain.

/// Which of a chain's `draws` comes at place `index`, in an order of which every beginning is spread over the whole
/// chain. All of them are in it once, and then it begins anew.
pub fn spread(index: u64, draws: u64) -> u64 {
    index % draws * stride(draws) % draws
}

/// The first number without a common factor with `draws` from the golden share of it on: its multiples are spread
/// evenly, however many one takes.
fn stride(draws: u64) -> u64 {
    let golden = (draws as f64 * 0.618_033_988_749_895).round() as u64;
    let candidates = (golden.max(1)..draws).chain((1..=golden).rev());
    let coprime = |a: &u64| {
        let (mut a, mut b) = (*a, draws);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    candidates.into_iter().find(coprime).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draw_comes_once_and_a_beginning_is_spread() {
        for draws in [1, 2, 3, 4, 7, 10, 100, 1000, 1024] {
            let mut reached: Vec<u64> = (0..draws).map(|index| spread(index, draws)).collect();
            reached.sort_unstable();
            assert_eq!(reached, (0..draws).collect::<Vec<_>>());
            assert_eq!(spread(draws + 1, draws), spread(1, draws));
        }
        // The first 20 of 1000 leave no gap larger than twice the mean one.
        let mut first: Vec<u64> = (0..20).map(|index| spread(index, 1000)).collect();
        first.sort_unstable();
        let largest = first.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(largest <= Some(100), "{first:?}");
    }
}
