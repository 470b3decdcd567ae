#include "worker/record/sound.h"

#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <stdlib.h>

#define APART 8 /* parts of a second: samples that are so far from where they should be begin anew */
#define BITS_PER_CHANNEL 48000

struct sound {
    AVCodecContext *decoder, *encoder;
    AVFrame *decoded, *frame; /* frame: being filled */
    AVPacket *packet;
    int filled;      /* samples in frame */
    int64_t next_at; /* of the next sample, in 1/rate */
    bool begun;
};

bool sound_copies(const AVCodecParameters *par)
{
    bool whole = par->codec_id != AV_CODEC_ID_AAC || par->extradata_size > 0;
    return whole && par->sample_rate > 0 &&
           avformat_query_codec(av_guess_format("mp4", NULL, NULL), par->codec_id, FF_COMPLIANCE_NORMAL) == 1;
}

static bool decodes(const AVCodecParameters *par)
{
    switch (par->codec_id) {
    case AV_CODEC_ID_PCM_MULAW:
    case AV_CODEC_ID_PCM_ALAW:
    case AV_CODEC_ID_PCM_S16BE:
    case AV_CODEC_ID_ADPCM_G722:
        return par->sample_rate >= 7350 && par->sample_rate <= 96000 && par->ch_layout.nb_channels >= 1 &&
               par->ch_layout.nb_channels <= 2;
    default:
        return false;
    }
}

bool sound_holds(const AVCodecParameters *par)
{
    return sound_copies(par) || decodes(par);
}

static int decoder_open(struct sound *sound, const AVCodecParameters *in)
{
    const AVCodec *codec = avcodec_find_decoder(in->codec_id);
    sound->decoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!sound->decoder || avcodec_parameters_to_context(sound->decoder, in) < 0)
        return -1;
    return avcodec_open2(sound->decoder, codec, NULL);
}

static int encoder_open(struct sound *sound, const AVCodecParameters *in)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
    AVCodecContext *encoder = sound->encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!encoder)
        return -1;
    encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
    encoder->sample_rate = in->sample_rate;
    encoder->time_base = (AVRational){1, in->sample_rate};
    encoder->bit_rate = (int64_t)BITS_PER_CHANNEL * in->ch_layout.nb_channels;
    encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_channel_layout_default(&encoder->ch_layout, in->ch_layout.nb_channels);
    return avcodec_open2(encoder, codec, NULL);
}

static int frame_open(struct sound *sound)
{
    AVFrame *frame = sound->frame;
    frame->format = AV_SAMPLE_FMT_FLTP;
    frame->sample_rate = sound->encoder->sample_rate;
    frame->nb_samples = sound->encoder->frame_size;
    if (av_channel_layout_copy(&frame->ch_layout, &sound->encoder->ch_layout) < 0)
        return -1;
    return av_frame_get_buffer(frame, 0);
}

struct sound *sound_new(const AVCodecParameters *in, AVCodecParameters *out)
{
    struct sound *sound = calloc(1, sizeof(*sound));
    if (!sound)
        return NULL;
    sound->decoded = av_frame_alloc();
    sound->frame = av_frame_alloc();
    sound->packet = av_packet_alloc();
    if (sound->decoded && sound->frame && sound->packet && decoder_open(sound, in) >= 0 && encoder_open(sound, in) >= 0 &&
        frame_open(sound) >= 0 && avcodec_parameters_from_context(out, sound->encoder) >= 0)
        return sound;
    sound_free(sound);
    return NULL;
}

void sound_free(struct sound *sound)
{
    if (!sound)
        return;
    avcodec_free_context(&sound->decoder);
    avcodec_free_context(&sound->encoder);
    av_frame_free(&sound->decoded);
    av_frame_free(&sound->frame);
    av_packet_free(&sound->packet);
    free(sound);
}

/* frame NULL: the end. */
static int encode(struct sound *sound, const AVFrame *frame, sound_put *put, void *self)
{
    int rc = avcodec_send_frame(sound->encoder, frame);
    while (rc >= 0 && (rc = avcodec_receive_packet(sound->encoder, sound->packet)) >= 0) {
        int done = put(self, sound->packet);
        av_packet_unref(sound->packet);
        if (done < 0)
            return -1;
    }
    return rc == AVERROR(ENOMEM) ? -1 : 0;
}

static int frame_encode(struct sound *sound, sound_put *put, void *self)
{
    sound->frame->pts = sound->next_at - sound->filled;
    sound->filled = 0;
    return encode(sound, sound->frame, put, self) < 0 || av_frame_make_writable(sound->frame) < 0 ? -1 : 0;
}

/* Fills the frame that was begun with silence. */
static int frame_complete(struct sound *sound, sound_put *put, void *self)
{
    int missing = sound->frame->nb_samples - sound->filled;
    for (int channel = 0; channel < sound->frame->ch_layout.nb_channels; channel++)
        memset((float *)(void *)sound->frame->extended_data[channel] + sound->filled, 0, (size_t)missing * sizeof(float));
    sound->filled += missing;
    sound->next_at += missing;
    return frame_encode(sound, put, self);
}

static float sample(const AVFrame *decoded, int channel, int at)
{
    bool planar = decoded->format == AV_SAMPLE_FMT_S16P;
    const int16_t *from = (const int16_t *)(const void *)decoded->extended_data[planar ? channel : 0];
    return (float)from[planar ? at : at * decoded->ch_layout.nb_channels + channel] / 32768;
}

static int samples_take(struct sound *sound, sound_put *put, void *self)
{
    const AVFrame *decoded = sound->decoded;
    AVFrame *frame = sound->frame;
    for (int at = 0; at < decoded->nb_samples; at++) {
        for (int channel = 0; channel < frame->ch_layout.nb_channels; channel++)
            ((float *)(void *)frame->extended_data[channel])[sound->filled] = sample(decoded, channel, at);
        sound->filled++;
        sound->next_at++;
        if (sound->filled == frame->nb_samples && frame_encode(sound, put, self) < 0)
            return -1;
    }
    return 0;
}

/* Samples that come later than the last ones end: what was begun is filled up with silence, and they begin anew. */
static int place(struct sound *sound, int64_t at, sound_put *put, void *self)
{
    int64_t apart = at - sound->next_at, most = sound->encoder->sample_rate / APART;
    if (sound->begun && apart < most)
        return 0;
    int rc = sound->begun && sound->filled ? frame_complete(sound, put, self) : 0;
    if (!sound->begun || at > sound->next_at)
        sound->next_at = at;
    sound->begun = true;
    return rc;
}

int sound_feed(struct sound *sound, const AVPacket *packet, int64_t at, sound_put *put, void *self)
{
    if (place(sound, at, put, self) < 0)
        return -1;
    int rc = avcodec_send_packet(sound->decoder, packet);
    while (rc >= 0 && (rc = avcodec_receive_frame(sound->decoder, sound->decoded)) >= 0) {
        bool fits = sound->decoded->format == AV_SAMPLE_FMT_S16 || sound->decoded->format == AV_SAMPLE_FMT_S16P;
        int done = fits && sound->decoded->ch_layout.nb_channels == sound->frame->ch_layout.nb_channels
                       ? samples_take(sound, put, self)
                       : 0;
        av_frame_unref(sound->decoded);
        if (done < 0)
            return -1;
    }
    return rc == AVERROR(ENOMEM) ? -1 : 0;
}

int sound_end(struct sound *sound, sound_put *put, void *self)
{
    if (sound->filled && frame_complete(sound, put, self) < 0)
        return -1;
    return encode(sound, NULL, put, self);
}
