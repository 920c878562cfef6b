//! ST NUCLEO-H563ZI (MB1404): STM32H563ZI (Cortex-M33, 250 MHz), LAN8742 PHY over RMII, ST-LINK.
//!
//! | part | pins |
//! | --- | --- |
//! | Ethernet | REF_CLK PA1, MDIO PA2, CRS_DV PA7, TXD1 PB15, MDC PC1, RXD0 PC4, RXD1 PC5, TX_EN PG11, TXD0 PG13 |
//! | console, 115200 8N1 | USART3, TX PD8, RX PD9: the ST-LINK's virtual serial port |
//! | lamp | LD1, PB0 |
//! | button | B1 (blue), PC13, high while pressed |
//!
//! TrustZone off, banks not swapped: as the board is delivered. The instruction cache stays off: it
//! would also hold what is read of the state, and every write would have to invalidate it.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::peripheral::SCB;
use cortex_m_rt::{ExceptionFrame, exception};
use embassy_executor::Spawner;
use embassy_stm32::dts::{self, Dts};
use embassy_stm32::eth::{self, Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::flash::{Bank1Region, Bank2Region, Blocking, Flash};
use embassy_stm32::gpio::{Input, Level, Output, Pull, Speed};
use embassy_stm32::peripherals::{DTS, ETH, ETH_SMA, IWDG, RNG, USART3};
use embassy_stm32::usart::{self, BufferedUart};
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{Peri, bind_interrupts, pac, rcc};
use embassy_time::{Duration, Instant};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use hushwire_firmware::board::{Board, Entropy, Lamp, NoEntropy, Panel, Stack};
use hushwire_firmware::parts::{SectorKeeper, Window, local_mac};
use hushwire_flash::Wipe;
use static_cell::{ConstStaticCell, StaticCell};

use crate::boards::stack;

bind_interrupts!(struct Interrupts {
    ETH => eth::InterruptHandler;
    USART3 => usart::BufferedInterruptHandler<USART3>;
    DTS => dts::InterruptHandler;
});

type Network = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

/// Frames waiting to go and waiting to be read, 1.5 KiB each.
type Queue = PacketQueue<2, 3>;

/// The PHY's address on the management bus, as strapped on this board.
const PHY: u8 = 0;

/// Steps of the ratchet whose spent keys stand until the next erase wipes them all.
///
/// ST promises 10,000 erases of a sector, and two take turns: wiping after every step would wear them
/// out in 20,000 steps, two weeks at one a minute. With 16 it is 320,000.
const STEPS_PER_ERASE: u16 = 16;

/// Takes the board apart.
pub(crate) async fn take(
    _: Spawner,
) -> Board<
    Network,
    Window<Bank<Bank2Region<'static, Blocking>>>,
    BufferedUart<'static>,
    Rng,
    SectorKeeper<Window<Bank<Bank1Region<'static, Blocking>>>>,
    NucleoPanel,
> {
    static QUEUE: ConstStaticCell<Queue> = ConstStaticCell::new(Queue::new());
    static TX: StaticCell<[u8; 256]> = StaticCell::new();
    static RX: StaticCell<[u8; 256]> = StaticCell::new();

    let p = embassy_stm32::init(clocks());

    let console = BufferedUart::new(
        p.USART3,
        p.PD9,
        p.PD8,
        TX.init([0; 256]),
        RX.init([0; 256]),
        Interrupts,
        usart::Config::default(),
    )
    .expect("115200 baud of the APB clock");

    let network = Ethernet::new_with_phy(
        QUEUE.take(),
        p.ETH,
        Interrupts,
        p.PA1,
        p.PA7,
        p.PC4,
        p.PC5,
        p.PG13,
        p.PB15,
        p.PG11,
        local_mac(serial().as_flattened()),
        GenericPhy::new(Sma::new(p.ETH_SMA, p.PA2, p.PC1), PHY),
    );

    let flash = Flash::new_blocking(p.FLASH).into_blocking_regions();

    let mut thermometer = dts::Config::default();
    thermometer.sample_time = NucleoPanel::SAMPLES;

    Board {
        name: "nucleo-h563zi",
        network,
        flash: Window::new(
            Bank(flash.bank2_region),
            number(&raw const _state_offset),
            number(&raw const _state_size),
        ),
        wipe: Wipe::by_erase(STEPS_PER_ERASE),
        console,
        entropy: Rng::new(p.RNG),
        keeper: SectorKeeper::new(Window::new(
            Bank(flash.bank1_region),
            number(&raw const _key_offset),
            number(&raw const _key_size),
        )),
        panel: NucleoPanel {
            lamp: Output::new(p.PB0, Level::Low, Speed::Low),
            button: Input::new(p.PC13, Pull::Down),
            thermometer: Dts::new(p.DTS, Interrupts, thermometer),
            asleep: Some(p.IWDG),
            watchdog: None,
        },
    }
}

/// The chip's number: lot, wafer and place on it. Word by word, because this part of the flash answers
/// a byte with a bus fault, and a copy of it as an array may well be made of bytes.
fn serial() -> [[u8; 4]; 3] {
    core::array::from_fn(|word| pac::UID.uid(word).read().to_le_bytes())
}

/// 250 MHz from the ST-LINK's 8 MHz (RM0481, RCC): 8 / 2 * 125 / 2.
fn clocks() -> embassy_stm32::Config {
    use rcc::{
        AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllDiv, PllMul, PllPreDiv, PllSource,
        Sysclk, VoltageScale,
    };

    let mut config = embassy_stm32::Config::default();
    config.rcc.hsi = None;
    // The noise source's clock.
    config.rcc.hsi48 = Some(rcc::Hsi48Config::default());
    config.rcc.hse = Some(Hse {
        freq: embassy_stm32::time::Hertz(8_000_000),
        mode: HseMode::BypassDigital,
    });
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV2,
        mul: PllMul::MUL125,
        divp: Some(PllDiv::DIV2),
        divq: Some(PllDiv::DIV2),
        divr: None,
    });
    config.rcc.ahb_pre = AHBPrescaler::DIV1;
    // The thermometer counts this clock and takes no more than 127 MHz.
    config.rcc.apb1_pre = APBPrescaler::DIV2;
    config.rcc.apb2_pre = APBPrescaler::DIV1;
    config.rcc.apb3_pre = APBPrescaler::DIV1;
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.voltage_scale = VoltageScale::Scale0;
    config
}

// The memory map's numbers, as addresses: `memory/nucleo-h563zi.x`.
unsafe extern "C" {
    safe static _state_offset: u8;
    safe static _state_size: u8;
    safe static _key_offset: u8;
    safe static _key_size: u8;
}

fn number(symbol: *const u8) -> u32 {
    symbol.addr() as u32
}

/// Whether the state or the key is being read: [`NonMaskableInt`].
static READING: AtomicBool = AtomicBool::new(false);

/// A flash word with more wrong bits than its ECC mends comes as this interrupt (RM0481 7.3.4).
///
/// Power that fails while 16 bytes are programmed leaves such a word. Stopping here would make a
/// brick of a device whose plug was pulled: the read goes on with whatever bits there are, and the
/// store's checksums and tags refuse them as they refuse any write that was cut short.
#[exception]
unsafe fn NonMaskableInt() {
    let data = READING.load(Ordering::Relaxed) && pac::FLASH.eccdetr().read().eccd();
    if !data {
        // A damaged word of the program, or a cause that nobody expected: start over.
        SCB::sys_reset();
    }
    // One writes the flag to clear it.
    pac::FLASH.eccdetr().modify(|w| w.set_eccd(true));
}

/// One of the two banks. A write unit is programmed once between two erases, because its ECC is
/// programmed with it: never `MultiwriteNorFlash`.
pub(crate) struct Bank<B>(B);

/// Error flags stay until they are cleared here (RM0481, FLASH_NSCCR), and a stale one fails every
/// later operation of embassy-stm32 0.6, which clears another register.
fn clear_errors() {
    pac::FLASH.nsccr().write(|w| {
        w.set_clr_eop(true);
        w.set_clr_wrperr(true);
        w.set_clr_pgserr(true);
        w.set_clr_strberr(true);
        w.set_clr_incerr(true);
    });
}

impl<B: ErrorType> ErrorType for Bank<B> {
    type Error = B::Error;
}

impl<B: ReadNorFlash> ReadNorFlash for Bank<B> {
    const READ_SIZE: usize = B::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), B::Error> {
        READING.store(true, Ordering::SeqCst);
        let read = self.0.read(offset, bytes);
        // The interrupt of the last word has come by the end of this slower access.
        cortex_m::asm::dsb();
        let _ = pac::FLASH.eccdetr().read();
        READING.store(false, Ordering::SeqCst);
        read
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<B: NorFlash> NorFlash for Bank<B> {
    const WRITE_SIZE: usize = B::WRITE_SIZE;
    const ERASE_SIZE: usize = B::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), B::Error> {
        clear_errors();
        self.0.erase(from, to)
    }

    /// PGSERR is looked at by nobody below: [`Window`] reads back.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), B::Error> {
        clear_errors();
        self.0.write(offset, bytes)
    }
}

/// The STM32's generator, whose own conditioning and health tests stay on (RM0481, RNG).
///
/// embassy-stm32's driver waits without bound where the noise has failed; a key must be refused
/// then, not the boot.
pub(crate) struct Rng {
    _owned: Peri<'static, RNG>,
    ready: bool,
}

impl Rng {
    /// A start takes some 100 microseconds, a word 5.
    const PATIENCE: Duration = Duration::from_millis(20);
    /// A seed error now and then is no fault (RM0481, RNG error management); this many in a row are.
    const TRIES: usize = 3;

    fn new(owned: Peri<'static, RNG>) -> Self {
        rcc::enable_and_reset::<RNG>();
        Self {
            _owned: owned,
            ready: false,
        }
    }

    /// Starts over in the configuration that ST had certified ("A" in RM0481's table).
    fn start(&mut self) -> Result<(), NoEntropy> {
        use pac::rng::vals::{Clkdiv, Htcfg, Nistc, RngConfig1, RngConfig2, RngConfig3};

        let rng = pac::RNG;
        // The configuration counts only together with CONDRST, in one access.
        rng.cr().write(|w| {
            w.set_condrst(true);
            w.set_nistc(Nistc::CUSTOM);
            w.set_rng_config1(RngConfig1::CONFIG_A);
            w.set_rng_config2(RngConfig2::CONFIG_A_B);
            w.set_rng_config3(RngConfig3::CONFIG_A);
            w.set_clkdiv(Clkdiv::NO_DIV);
            // False: the clock is watched.
            w.set_ced(false);
        });
        Self::wait(|| rng.cr().read().condrst())?;
        rng.htcr().write(|w| w.set_htcfg(Htcfg::MAGIC));
        rng.htcr().write(|w| w.set_htcfg(Htcfg::RECOMMENDED));
        rng.cr().modify(|w| {
            w.set_condrst(false);
            w.set_rngen(true);
        });
        Self::wait(|| !rng.cr().read().condrst())?;
        rng.sr().write(|_| ());
        Self::wait(|| {
            let status = rng.sr().read();
            status.drdy() || status.seis() || status.ceis()
        })?;
        self.ready = true;
        Ok(())
    }

    fn wait(mut done: impl FnMut() -> bool) -> Result<(), NoEntropy> {
        let deadline = Instant::now() + Self::PATIENCE;
        while !done() {
            if Instant::now() >= deadline {
                return Err(NoEntropy);
            }
        }
        Ok(())
    }

    fn word(&mut self) -> Result<u32, NoEntropy> {
        if !self.ready {
            self.start()?;
        }
        // Until proven otherwise: the next call starts over.
        self.ready = false;
        let rng = pac::RNG;
        let mut status = rng.sr().read();
        Self::wait(|| {
            status = rng.sr().read();
            status.drdy() || status.seis() || status.ceis()
        })?;
        if status.seis() || status.secs() || status.ceis() || status.cecs() {
            return Err(NoEntropy);
        }
        let word = rng.dr().read();
        // Zero: an error came between the two reads (RM0481, RNG_DR).
        if word == 0 {
            return Err(NoEntropy);
        }
        self.ready = true;
        Ok(word)
    }
}

impl Entropy for Rng {
    fn fill(&mut self, noise: &mut [u8]) -> Result<(), NoEntropy> {
        for chunk in noise.chunks_mut(4) {
            let word = (0..Self::TRIES)
                .find_map(|_| self.word().ok())
                .ok_or(NoEntropy)?;
            for (byte, fresh) in chunk.iter_mut().zip(word.to_le_bytes()) {
                *byte = fresh;
            }
        }
        Ok(())
    }
}

/// Where a panic is told: the console's UART, past the driver and its interrupts.
pub(crate) struct LastWords;

impl Write for LastWords {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if spin_while(|| !pac::USART3.isr().read().txe()) {
                return Err(fmt::Error);
            }
            pac::USART3.tdr().write(|w| w.set_dr(byte.into()));
        }
        // The reset that follows would cut the rest off.
        spin_while(|| !pac::USART3.isr().read().tc());
        Ok(())
    }
}

#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    let _ = LastWords.write_str("\r\nfault\r\n");
    SCB::sys_reset()
}

/// Some 10 ms at most, a hundred times what a byte takes; whether the condition still holds then.
fn spin_while(condition: impl Fn() -> bool) -> bool {
    (0..100_000).all(|_| condition())
}

/// LD1, B1, digital thermometer and independent watchdog.
pub(crate) struct NucleoPanel {
    lamp: Output<'static>,
    button: Input<'static>,
    thermometer: Dts<'static>,
    /// Until it is started.
    asleep: Option<Peri<'static, IWDG>>,
    /// From then on: it cannot be stopped.
    watchdog: Option<IndependentWatchdog<'static, IWDG>>,
}

impl NucleoPanel {
    /// Periods of the sensor's oscillator in one measurement.
    const SAMPLES: dts::SampleTime = dts::SampleTime::ClockCycles15;
    /// What its counter holds at the slowest prescaler of the driver, in seconds.
    const LONGEST: u8 = 32;
}

impl Panel for NucleoPanel {
    const UNIT: &'static str = "m°C";

    fn lamp(&mut self, lamp: Lamp) {
        self.lamp.set_level((lamp == Lamp::On).into());
    }

    /// RM0481, DTS: the sensor's frequency is measured in ticks of the APB clock and grows by
    /// RAMP_COEFF hertz for each degree over T0.
    fn read(&mut self) -> Option<i32> {
        let ticks = i64::from(self.thermometer.read_immediate());
        let factory = Dts::factory_calibration();
        let apb = i64::from(rcc::frequency::<DTS>().0);
        let hertz = (apb * i64::from(Self::SAMPLES as u8)).checked_div(ticks)?;
        let above = (hertz - i64::from(factory.fmt0.0)) * 1000;
        let above = above.checked_div(i64::from(factory.ramp_coeff))?;
        i32::try_from(i64::from(factory.t0) * 1000 + above).ok()
    }

    fn is_held(&mut self) -> bool {
        self.button.is_high()
    }

    fn guard(&mut self, seconds: u8) {
        if let Some(peripheral) = self.asleep.take() {
            let micros = u32::from(seconds.clamp(1, Self::LONGEST)) * 1_000_000;
            let mut watchdog = IndependentWatchdog::new(peripheral, micros);
            watchdog.unleash();
            self.watchdog = Some(watchdog);
        }
    }

    fn feed(&mut self) {
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.pet();
        }
    }

    fn restart(&mut self) -> ! {
        SCB::sys_reset()
    }

    fn stack(&mut self) -> Option<Stack> {
        Some(stack::used())
    }
}
