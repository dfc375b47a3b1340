"""Operations about the service itself: health, metrics, problems and the API reference."""
