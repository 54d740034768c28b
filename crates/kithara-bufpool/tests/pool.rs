//! What a pool keeps, what it gives, and where buffers return to.

use kithara_bufpool::{BytePool, PoolSettings, Poolable, SamplePool, SharedPool};

const SETTINGS: PoolSettings =
    PoolSettings { max_buffers: 8, trim_bytes: 4096, retained_budget_bytes: 16 * 1024 };

#[test]
fn a_returned_buffer_is_given_again_and_is_empty() {
    let pool = BytePool::new(SETTINGS);
    let mut buffer = pool.get();
    assert_eq!(buffer.capacity(), 0, "a new one allocates nothing");
    buffer.extend_from_slice(&[7; 1000]);
    let (capacity, address) = (buffer.capacity(), buffer.as_ptr());
    drop(buffer);
    assert_eq!(pool.retained_bytes(), capacity);
    let again = pool.get_with(|bytes| bytes.push(1));
    assert_eq!((again.as_slice(), again.capacity(), again.as_ptr()), (&[1][..], capacity, address));
    assert_eq!(pool.retained_bytes(), 0, "what is in use is not retained");
}

#[test]
fn what_exceeds_a_limit_is_freed() {
    let pool = BytePool::new(SETTINGS);
    let many: Vec<_> = (0..20).map(|_| pool.get_with(|bytes| bytes.reserve_exact(1000))).collect();
    drop(many);
    assert_eq!(pool.retained_bytes(), 8 * 1000, "eight buffers");
    let large: Vec<_> = (0..8).map(|_| pool.get_with(|bytes| bytes.reserve_exact(4096))).collect();
    drop(large);
    let kept = pool.retained_bytes();
    assert!(kept <= 16 * 1024 && kept > 8 * 1024, "{kept} bytes");
    pool.clear();
    assert_eq!(pool.retained_bytes(), 0);
}

#[test]
fn a_large_buffer_is_shrunk_before_it_is_kept() {
    let pool = SamplePool::new(SETTINGS);
    drop(pool.get_with(|samples| samples.resize(20_000, 0.5)));
    assert!(pool.retained_bytes() <= 4096 && pool.retained_bytes() > 0);
    assert!(pool.get().capacity() <= 1024);
}

#[test]
fn a_value_that_cannot_shrink_is_freed() {
    #[derive(Default)]
    struct Solid(Option<Box<[u8; 8192]>>);
    impl Poolable for Solid {
        fn reset(&mut self) {}
        fn retained_bytes(&self) -> usize {
            self.0.as_ref().map_or(0, |_| 8192)
        }
        fn shrink(&mut self, _: usize) {}
    }
    let pool = SharedPool::<2, Solid>::new(SETTINGS);
    drop(pool.get_with(|solid| solid.0 = Some(Box::new([0; 8192]))));
    assert_eq!(pool.retained_bytes(), 0);
}

#[test]
fn limits_of_zero_keep_nothing() {
    for settings in [
        PoolSettings { max_buffers: 0, ..SETTINGS },
        PoolSettings { trim_bytes: 0, ..SETTINGS },
        PoolSettings { retained_budget_bytes: 0, ..SETTINGS },
    ] {
        let pool = BytePool::new(settings);
        drop(pool.get_with(|bytes| bytes.push(1)));
        assert_eq!(pool.retained_bytes(), 0, "{settings:?}");
    }
}

#[test]
fn into_inner_leaves_the_pool() {
    let pool = BytePool::new(SETTINGS);
    let owned: Vec<u8> = pool.get_with(|bytes| bytes.extend_from_slice(b"mine")).into_inner();
    assert_eq!((owned.as_slice(), pool.retained_bytes()), (&b"mine"[..], 0));
}

#[test]
fn frozen_bytes_are_the_same_bytes_and_return_with_the_last_clone() {
    let pool = BytePool::new(SETTINGS);
    let buffer = pool.get_with(|bytes| bytes.extend_from_slice(b"header, payload"));
    let address = buffer.as_ptr();
    let bytes = buffer.freeze();
    assert_eq!(bytes.as_ptr(), address, "no copy");
    let payload = bytes.slice(8..);
    drop(bytes);
    assert_eq!((&payload[..], pool.retained_bytes()), (&b"payload"[..], 0));
    std::thread::spawn(move || drop(payload)).join().unwrap();
    assert!(pool.retained_bytes() > 0, "returned from another thread");
    assert_eq!(pool.get().as_ptr(), address, "to where it was taken from");
    assert!(pool.get().freeze().is_empty());
}

#[test]
fn a_buffer_outlives_the_last_handle_of_its_pool() {
    let pool = BytePool::new(SETTINGS);
    let buffer = pool.get_with(|bytes| bytes.push(9));
    drop(pool);
    assert_eq!(*buffer, [9]);
}

#[test]
fn a_consumer_returns_buffers_to_their_producer() {
    let pool = BytePool::new(SETTINGS);
    let (sender, receiver) = std::sync::mpsc::sync_channel(2);
    let consumer = std::thread::spawn(move || receiver.into_iter().for_each(drop));
    let mut fresh = 0;
    for _ in 0..if cfg!(miri) { 30 } else { 1000 } {
        let mut buffer = pool.get();
        fresh += usize::from(buffer.capacity() == 0);
        buffer.resize(100, 1);
        sender.send(buffer).unwrap();
    }
    drop(sender);
    consumer.join().unwrap();
    assert!(fresh <= 5, "{fresh} buffers were made, of which four can be in flight");
}

#[test]
fn a_thread_finds_what_rests_in_another_shard() {
    let pool = BytePool::new(SETTINGS);
    drop(pool.get_with(|bytes| bytes.reserve(100)));
    let elsewhere = pool.clone();
    let found = std::thread::spawn(move || elsewhere.get().capacity()).join().unwrap();
    assert!(found >= 100);
}

#[cfg(feature = "counters")]
#[test]
fn counters_count() {
    let pool = BytePool::new(SETTINGS);
    let buffers: Vec<_> = (0..10).map(|_| pool.get_with(|bytes| bytes.reserve(100))).collect();
    drop(buffers);
    drop(pool.get());
    let elsewhere = pool.clone();
    std::thread::spawn(move || drop(elsewhere.get())).join().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.misses, stats.hits, stats.steals, stats.dropped), (10, 2, 1, 2));
}
