//! AAC configuration: AudioSpecificConfig and ADTS headers.
