"""The Video Pixel Network, and the baseline that it is compared with."""

from .model import IndependentPixels, VideoPixelNetwork, VPNConfig

__all__ = ["IndependentPixels", "VPNConfig", "VideoPixelNetwork"]
