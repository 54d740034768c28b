//! The queue: which track plays now, next and before. Pure.

use std::fmt;

use crate::Track;

/// Names an entry of a player's queue. Never used twice by one player.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub(crate) u64);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "track {}", self.0)
    }
}

/// What follows the last track, or a track that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeat {
    /// The end of the queue ends playback. The default.
    #[default]
    Off,
    /// The first track follows the last one.
    All,
    /// The track that has ended begins again; skipping still moves on.
    One,
}

/// Entries in the order in which they were added, and the order in which they play.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: Vec<(TrackId, Track)>,
    /// Ids in playing order: as added, or shuffled.
    order: Vec<TrackId>,
    current: Option<TrackId>,
    next_id: u64,
    pub(crate) repeat: Repeat,
    shuffle: Option<fastrand::Rng>,
}

impl Queue {
    /// Appends a track. In a shuffled queue it plays at a random place behind the current one.
    pub(crate) fn push(&mut self, track: Track) -> TrackId {
        self.insert(self.entries.len(), track)
    }

    /// Inserts a track so that it stands at `index` of the list, at most at its end.
    pub(crate) fn insert(&mut self, index: usize, track: Track) -> TrackId {
        let id = TrackId(self.next_id);
        self.next_id += 1;
        let index = index.min(self.entries.len());
        let follower = self.entries.get(index).map(|(id, _)| *id);
        self.entries.insert(index, (id, track));
        let first_open = self.current.and_then(|current| self.place(current)).map_or(0, |place| place + 1);
        let place = match &mut self.shuffle {
            Some(rng) => rng.usize(first_open..=self.order.len()),
            None => follower.and_then(|id| self.place(id)).unwrap_or(self.order.len()),
        };
        self.order.insert(place, id);
        id
    }

    /// Inserts a track that plays right after the current one, shuffled or not.
    pub(crate) fn insert_next(&mut self, track: Track) -> TrackId {
        let at = |list: &[TrackId], current: Option<TrackId>| {
            current.and_then(|current| list.iter().position(|id| *id == current)).map_or(0, |place| place + 1)
        };
        let listed: Vec<TrackId> = self.entries.iter().map(|(id, _)| *id).collect();
        let id = self.insert(at(&listed, self.current), track);
        self.order.retain(|other| *other != id);
        let place = at(&self.order, self.current);
        self.order.insert(place, id);
        id
    }

    /// Takes a track out. The current one stays current until another begins.
    pub(crate) fn remove(&mut self, id: TrackId) -> bool {
        let before = self.entries.len();
        if self.current == Some(id) {
            // The place is kept, so that the next track is the one that followed.
            self.entries.retain(|(other, _)| *other != id);
            return before != self.entries.len();
        }
        self.entries.retain(|(other, _)| *other != id);
        self.order.retain(|other| *other != id);
        before != self.entries.len()
    }

    /// Takes out everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.current = None;
    }

    /// The entries in the order in which they were added.
    pub(crate) fn entries(&self) -> &[(TrackId, Track)] {
        &self.entries
    }

    pub(crate) fn track(&self, id: TrackId) -> Option<&Track> {
        self.entries.iter().find(|(other, _)| *other == id).map(|(_, track)| track)
    }

    pub(crate) fn current(&self) -> Option<TrackId> {
        self.current
    }

    /// Moves to a track. A removed track that was current leaves the order.
    pub(crate) fn set_current(&mut self, id: TrackId) {
        if let Some(old) = self.current.replace(id)
            && old != id
            && self.track(old).is_none()
        {
            self.order.retain(|other| *other != old);
        }
    }

    /// Shuffles what is behind the current track by `seed`, or goes back to the order of adding.
    pub(crate) fn set_shuffle(&mut self, seed: Option<u64>) {
        self.shuffle = seed.map(fastrand::Rng::with_seed);
        self.order = self.entries.iter().map(|(id, _)| *id).collect();
        if let Some(rng) = &mut self.shuffle {
            rng.shuffle(&mut self.order);
            if let Some(current) = self.current
                && let Some(place) = self.order.iter().position(|id| *id == current)
            {
                self.order.swap(0, place);
            }
        }
    }

    pub(crate) fn is_shuffled(&self) -> bool {
        self.shuffle.is_some()
    }

    /// The track that follows when the current one ends by itself.
    pub(crate) fn after_end(&self) -> Option<TrackId> {
        match (self.repeat, self.current) {
            (Repeat::One, Some(current)) if self.track(current).is_some() => Some(current),
            _ => self.skip_forward(),
        }
    }

    /// The track that the user skips to.
    pub(crate) fn skip_forward(&self) -> Option<TrackId> {
        let following = self.current.and_then(|current| self.place(current)).map_or(0, |place| place + 1);
        let wraps = self.repeat != Repeat::Off;
        self.playable(self.order[following.min(self.order.len())..].iter())
            .or_else(|| self.playable(self.order.iter()).filter(|_| wraps))
    }

    /// The track before the current one.
    pub(crate) fn skip_back(&self) -> Option<TrackId> {
        let place = self.current.and_then(|current| self.place(current)).unwrap_or(0);
        let wraps = self.repeat != Repeat::Off;
        self.playable(self.order[..place].iter().rev())
            .or_else(|| self.playable(self.order.iter().rev()).filter(|_| wraps))
    }

    fn playable<'a>(&self, mut ids: impl Iterator<Item = &'a TrackId>) -> Option<TrackId> {
        ids.find(|id| self.track(**id).is_some()).copied()
    }

    fn place(&self, id: TrackId) -> Option<usize> {
        self.order.iter().position(|other| *other == id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn queue(count: usize) -> (Queue, Vec<TrackId>) {
        let mut queue = Queue::default();
        let ids = (0..count).map(|_| queue.push(track())).collect();
        (queue, ids)
    }

    fn track() -> Track {
        Track::new("silence", |_| async { Err::<NoSource, _>(std::io::Error::other("not opened here")) })
    }

    struct NoSource;

    impl crate::TrackSource for NoSource {
        fn spec(&self) -> kithara_decode::AudioSpec {
            kithara_decode::AudioSpec::new(48_000, 2)
        }

        fn duration(&self) -> Option<std::time::Duration> {
            None
        }

        fn next_chunk(
            &mut self,
        ) -> crate::BoxFuture<'_, Result<Option<kithara_decode::PcmChunk>, crate::TrackError>> {
            Box::pin(async { Ok(None) })
        }

        fn seek(&mut self, _: std::time::Duration) -> crate::BoxFuture<'_, Result<u64, crate::TrackError>> {
            Box::pin(async { Ok(0) })
        }
    }

    /// Plays on until the end, at most `limit` tracks.
    fn play(queue: &mut Queue, limit: usize) -> Vec<TrackId> {
        let mut played = Vec::new();
        while played.len() < limit
            && let Some(next) = queue.after_end()
        {
            queue.set_current(next);
            played.push(next);
        }
        played
    }

    #[test]
    fn tracks_play_in_order_and_end() {
        let (mut queue, ids) = queue(3);
        assert_eq!(play(&mut queue, 10), ids);
    }

    #[test]
    fn repeat_all_wraps_and_repeat_one_stays() {
        let (mut queue, ids) = queue(2);
        queue.repeat = Repeat::All;
        assert_eq!(play(&mut queue, 5), [ids[0], ids[1], ids[0], ids[1], ids[0]]);
        queue.repeat = Repeat::One;
        assert_eq!(play(&mut queue, 3), [ids[0]; 3]);
        assert_eq!(queue.skip_forward(), Some(ids[1]), "skipping moves on");
    }

    #[test]
    fn shuffle_plays_each_track_once_and_the_current_one_first() {
        let (mut queue, ids) = queue(20);
        queue.set_current(ids[7]);
        queue.set_shuffle(Some(4));
        let played = play(&mut queue, 50);
        assert_eq!(played.len(), 19, "the current one is not played again");
        assert_eq!(played.iter().collect::<HashSet<_>>().len(), 19);
        assert_ne!(played, ids[8..], "shuffled");
        queue.set_current(ids[7]);
        queue.set_shuffle(None);
        assert_eq!(queue.after_end(), Some(ids[8]));
    }

    #[test]
    fn a_removed_current_track_keeps_the_place_for_the_next_one() {
        let (mut queue, ids) = queue(3);
        queue.set_current(ids[1]);
        assert!(queue.remove(ids[1]));
        assert_eq!(queue.after_end(), Some(ids[2]));
        queue.set_current(ids[2]);
        assert_eq!(queue.skip_back(), Some(ids[0]));
        assert!(!queue.remove(ids[1]), "it is gone");
    }

    #[test]
    fn a_track_that_is_played_next_stands_behind_the_current_one_when_shuffled() {
        let (mut queue, ids) = queue(9);
        queue.set_current(ids[3]);
        queue.set_shuffle(Some(1));
        let next = queue.insert_next(track());
        assert_eq!(queue.after_end(), Some(next));
        assert_eq!(queue.entries()[4].0, next);
    }

    #[test]
    fn a_track_that_is_added_to_a_shuffled_queue_is_heard() {
        let (mut queue, ids) = queue(5);
        queue.set_current(ids[0]);
        queue.set_shuffle(Some(2));
        let added = queue.push(track());
        assert!(play(&mut queue, 20).contains(&added));
    }

    #[test]
    fn an_empty_queue_has_no_track() {
        let (mut queue, ids) = queue(1);
        queue.set_current(ids[0]);
        queue.clear();
        assert_eq!((queue.after_end(), queue.skip_forward(), queue.skip_back()), (None, None, None));
    }
}
