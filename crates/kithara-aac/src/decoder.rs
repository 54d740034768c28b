use crate::adts::AdtsHeader;
use crate::bits::BitReader;
use crate::config::Config;
use crate::core::Core;
use crate::latm::{StreamMux, mux_element};
use crate::output::{Frame, Output};
use crate::{Channel, Error, Result};

/// How packets are framed.
#[derive(Debug)]
enum Transport {
    Raw,
    Adts(Option<AdtsHeader>),
    Latm(Option<Box<StreamMux>>),
}

/// Decodes AAC packets to planar samples.
///
/// One decoder is one stream. It owns all its memory from the first packet on: decoding allocates only when
/// the stream's configuration changes. It is `Send`, so that it may move between threads.
#[derive(Debug)]
pub struct Decoder {
    transport: Transport,
    core: Option<Box<Core>>,
    output: Output,
    position: u64,
}

impl Decoder {
    /// A decoder of raw packets (`raw_data_block`), as MP4 and Matroska carry them.
    ///
    /// # Errors
    /// None for a configuration that was read; reserved for limits.
    pub fn new(config: Config) -> Result<Self> {
        let mut decoder = Self::of(Transport::Raw);
        decoder.configure(config);
        Ok(decoder)
    }

    /// A decoder of ADTS frames: each packet is one frame with its header, as [`AdtsFrames`] splits them.
    ///
    /// [`AdtsFrames`]: crate::AdtsFrames
    pub fn adts() -> Self {
        Self::of(Transport::Adts(None))
    }

    /// A decoder of LATM: each packet is an `AudioMuxElement`, alone or in a LOAS frame.
    pub fn latm() -> Self {
        Self::of(Transport::Latm(None))
    }

    fn of(transport: Transport) -> Self {
        Self { transport, core: None, output: Output::default(), position: 0 }
    }

    fn configure(&mut self, config: Config) {
        let core = Core::new(config);
        let channels = core.channels();
        if !channels.is_empty() {
            self.output.set_channels(channels, core.block_frames());
        }
        self.core = Some(Box::new(core));
    }

    /// The output's sampling frequency in Hz, once it is known.
    pub fn sample_rate(&self) -> Option<u32> {
        self.core.as_ref().map(|core| core.output_rate())
    }

    /// The output's channels in their order; empty until they are known.
    pub fn channels(&self) -> &[Channel] {
        &self.output.channels
    }

    /// The configuration in use, once it is known.
    pub fn config(&self) -> Option<&Config> {
        self.core.as_ref().map(|core| &core.config)
    }

    /// Forgets the sound so far, as a seek needs. The configuration stays. The next packet counts as the
    /// first; [`decode_at`](Self::decode_at) tells another position.
    pub fn reset(&mut self) {
        self.position = 0;
        if let Some(core) = &mut self.core {
            core.reset();
        }
    }

    /// Decodes the packet that follows the last one.
    ///
    /// # Errors
    /// As [`decode_at`](Self::decode_at).
    pub fn decode(&mut self, packet: &[u8]) -> Result<Frame<'_>> {
        self.decode_at(packet, self.position)
    }

    /// Decodes a packet, given how many packets of the stream stand before it.
    ///
    /// Substituted noise depends on this number, so that a player that seeks hears the same noise as one
    /// that plays through.
    ///
    /// Damage within a packet is concealed and told by [`Frame::damage`]: the frame has its full length.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the stream changes to a configuration that this decoder does not have,
    /// [`Error::NotConfigured`] before the configuration has been received, [`Error::Malformed`] or
    /// [`Error::Truncated`] where nothing is known yet that a damaged packet could be concealed with.
    pub fn decode_at(&mut self, packet: &[u8], position: u64) -> Result<Frame<'_>> {
        self.output.clear();
        self.position = position.wrapping_add(1);
        let result = match self.transport {
            Transport::Raw => self.block(&mut BitReader::new(packet), position),
            Transport::Adts(_) => self.adts_frame(packet, position),
            Transport::Latm(_) => self.latm_element(packet, position),
        };
        if let Err(error @ (Error::Unsupported { .. } | Error::NotConfigured)) = result {
            return Err(error);
        }
        let Some(core) = &mut self.core else { return Err(result.err().unwrap_or(Error::NotConfigured)) };
        if core.is_empty() {
            return Err(result.err().unwrap_or(Error::NotConfigured));
        }
        if self.output.frames == 0 {
            core.conceal(&mut self.output);
        }
        Ok(Frame {
            output: &self.output,
            sample_rate: core.output_rate(),
            damage: result.err(),
            skipped: core.skipped,
        })
    }

    /// Decodes one raw data block behind those that the packet already gave.
    fn block(&mut self, reader: &mut BitReader<'_>, position: u64) -> Result<()> {
        let core = self.core.as_mut().ok_or(Error::NotConfigured)?;
        core.position = position;
        core.decode(reader, &mut self.output)
    }

    fn adts_frame(&mut self, packet: &[u8], position: u64) -> Result<()> {
        let header = AdtsHeader::read(packet)?;
        let Transport::Adts(known) = &mut self.transport else { return Ok(()) };
        if !known.is_some_and(|known| known.is_same_stream(&header)) {
            let config = header.config()?;
            *known = Some(header);
            self.configure(config);
        }
        let end = header.frame_length.min(packet.len());
        let mut reader = BitReader::new(packet.get(header.header_length()..end).unwrap_or_default());
        for block in 0..header.blocks {
            let start = reader.position();
            self.block(&mut reader, position.wrapping_add(block as u64))?;
            reader.align_from(start);
            if header.protected && header.blocks > 1 {
                reader.skip(16);
            }
        }
        if end < header.frame_length {
            return Err(Error::Truncated { part: "ADTS frame" });
        }
        Ok(())
    }

    fn latm_element(&mut self, packet: &[u8], position: u64) -> Result<()> {
        let mut reader = BitReader::new(mux_element(packet));
        let changed = StreamMux::read_element(&mut reader)?;
        let Transport::Latm(known) = &mut self.transport else { return Ok(()) };
        if let Some(mux) = changed
            && known.as_deref() != Some(&mux)
        {
            let config = mux.config.clone();
            let same = known.as_ref().is_some_and(|known| known.config == config);
            *known = Some(Box::new(mux));
            if !same {
                self.configure(config);
            }
        }
        let Transport::Latm(Some(mux)) = &self.transport else { return Err(Error::NotConfigured) };
        for subframe in 0..mux.subframes {
            let Transport::Latm(Some(mux)) = &self.transport else { return Err(Error::NotConfigured) };
            let bits = mux.payload(&mut reader)?;
            let mut payload = reader.sub(bits)?;
            reader.skip(bits);
            self.block(&mut payload, position.wrapping_add(subframe as u64))?;
        }
        Ok(())
    }
}
