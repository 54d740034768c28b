use crate::Atomic;

pub(super) async fn content_is_replaced_as_a_whole<A: Atomic>(object: A) {
    assert_eq!(object.read().await.unwrap(), None);
    for content in [&b"first"[..], b"", b"second, and longer", b"third"] {
        object.write(content).await.unwrap();
        assert_eq!(object.read().await.unwrap().as_deref(), Some(content));
        assert_eq!(object.clone().read().await.unwrap().as_deref(), Some(content));
    }
}

pub(super) async fn removal_is_idempotent<A: Atomic>(object: A) {
    object.remove().await.unwrap();
    object.write(b"content").await.unwrap();
    object.remove().await.unwrap();
    object.remove().await.unwrap();
    assert_eq!(object.read().await.unwrap(), None);
    object.write(b"again").await.unwrap();
    assert_eq!(object.read().await.unwrap().as_deref(), Some(&b"again"[..]));
}

pub(super) async fn writers_never_mix<A: Atomic>(object: A) {
    let writers: Vec<_> = (1..=4_u8)
        .map(|writer| {
            let object = object.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    object.write(&vec![writer; 1000 * usize::from(writer)]).await.unwrap();
                    let read = object.read().await.unwrap().expect("never without content");
                    assert_eq!(read.len(), 1000 * usize::from(read[0]));
                    assert!(read.iter().all(|byte| *byte == read[0]));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}
