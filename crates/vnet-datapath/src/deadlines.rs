//! What is due when.

/// A heap of times, one at most for each number, whose earliest is at hand and any of which can be moved.
///
/// Setting a time takes O(log n) and allocates only for a number beyond all before.
#[derive(Default, Debug)]
pub(crate) struct Deadlines {
    /// Times with their numbers, each not after those at twice its index, plus 1 and plus 2.
    heap: Vec<(u64, usize)>,
    /// By number: where it stands in the heap.
    at: Vec<Option<usize>>,
}

impl Deadlines {
    /// Returns the earliest time and whose it is.
    pub(crate) fn first(&self) -> Option<(u64, usize)> {
        self.heap.first().copied()
    }

    /// Gives a number another time, or none.
    pub(crate) fn set(&mut self, number: usize, time: Option<u64>) {
        if self.at.len() <= number {
            if time.is_none() {
                return;
            }
            self.at.resize(number + 1, None);
            self.heap.reserve(self.at.len() - self.heap.len());
        }
        match (self.at[number], time) {
            (None, None) => {}
            (None, Some(time)) => {
                self.at[number] = Some(self.heap.len());
                self.heap.push((time, number));
                self.rise(self.heap.len() - 1);
            }
            (Some(at), Some(time)) => {
                let before = std::mem::replace(&mut self.heap[at].0, time);
                match time.cmp(&before) {
                    std::cmp::Ordering::Less => self.rise(at),
                    std::cmp::Ordering::Equal => {}
                    std::cmp::Ordering::Greater => self.sink(at),
                }
            }
            (Some(at), None) => {
                self.at[number] = None;
                self.heap.swap_remove(at);
                if let Some(&(_, moved)) = self.heap.get(at) {
                    self.at[moved] = Some(at);
                    self.rise(at);
                    self.sink(at);
                }
            }
        }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let above = (at - 1) / 2;
            if self.heap[above].0 <= self.heap[at].0 {
                return;
            }
            self.swap(at, above);
            at = above;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let below = [2 * at + 1, 2 * at + 2]
                .into_iter()
                .filter(|&below| below < self.heap.len())
                .min_by_key(|&below| self.heap[below].0);
            match below {
                Some(below) if self.heap[below].0 < self.heap[at].0 => {
                    self.swap(at, below);
                    at = below;
                }
                _ => return,
            }
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.at[self.heap[a].1] = Some(a);
        self.at[self.heap[b].1] = Some(b);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_earliest_of_all_set_times_comes_first(
            changes in prop::collection::vec((0..20usize, prop::option::of(0..50u64)), 0..300),
        ) {
            let mut deadlines = Deadlines::default();
            let mut model = [None; 20];
            for (number, time) in changes {
                deadlines.set(number, time);
                model[number] = time;
                let first = deadlines.first();
                prop_assert_eq!(first.map(|(time, _)| time), model.iter().flatten().min().copied());
                if let Some((time, number)) = first {
                    prop_assert_eq!(model[number], Some(time));
                }
            }
            let mut times: Vec<u64> = model.iter().flatten().copied().collect();
            times.sort_unstable();
            for time in times {
                let (first, number) = deadlines.first().unwrap();
                prop_assert_eq!(first, time);
                deadlines.set(number, None);
            }
            prop_assert_eq!(deadlines.first(), None);
        }
    }
}
