#include "worker/video/probe_read.h"

#include <errno.h>
#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/dovi_meta.h>
#include <libavutil/hdr_dynamic_metadata.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixdesc.h>
#include <libavutil/spherical.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define IO_BUFFER 65536
#define SAMPLE ((size_t)65536)
#define FRAME_PACKETS 200 /* read in search of the film's first frame */

/* Containers of videos. Playlists and the like, which name other files, are not among them. */
static const char formats[] =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,rm,mxf,gxf,nut,dv,wtv,h264,hevc,"
    "ivf,obu,av1,m4v,vc1,swf,nsv,ivr,dvd,vob,rawvideo,mjpeg,y4m,yuv4mpegpipe,bink,smk,viv,xmv,r3d,lxf,mtv,pva,cavsvideo,h261,"
    "h263";

static void text_put(char *out, size_t size, const char *text)
{
    size_t len = text ? str_clean(out, size - 1, str_of(text)) : 0;
    out[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)out[i] < ' ')
            out[i] = ' ';
}

#define PUT(field, text) text_put(field, sizeof(field), text)

/* ---- identity ---- */

static bool sample(int fd, uint64_t offset, XXH3_state_t *state)
{
    char bytes[SAMPLE];
    size_t have = 0;
    while (have < SAMPLE) {
        ssize_t got = pread(fd, bytes + have, SAMPLE - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return XXH3_128bits_update(state, bytes, have) == XXH_OK;
}

bool probe_identity(int fd, struct probe *probe)
{
    struct stat info;
    XXH3_state_t *state = NULL;
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        PUT(probe->error, "it is not a regular file");
        return false;
    }
    probe->size = (uint64_t)info.st_size;
    probe->mtime_ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
    uint64_t last = probe->size > SAMPLE ? probe->size - SAMPLE : 0;
    unsigned char size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)(probe->size >> (8 * i));
    state = XXH3_createState();
    bool well = state && XXH3_128bits_reset(state) == XXH_OK && XXH3_128bits_update(state, size, sizeof(size)) == XXH_OK &&
                sample(fd, 0, state) && (last <= SAMPLE || sample(fd, last / 2, state)) && (last == 0 || sample(fd, last, state));
    if (well) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
        memcpy(probe->hash, canonical.digest, PROBE_HASH);
        probe->hashed = true;
    } else
        snprintf(probe->error, sizeof(probe->error), "it cannot be read: %s", state ? strerror(errno) : "no memory");
    XXH3_freeState(state);
    return well;
}

/* ---- libavformat's view of the descriptor ---- */

static int io_read(void *opaque, uint8_t *data, int size)
{
    ssize_t got;
    do
        got = read(*(int *)opaque, data, (size_t)size);
    while (got < 0 && errno == EINTR);
    return got > 0 ? (int)got : got == 0 ? AVERROR_EOF : AVERROR(errno);
}

static int64_t io_seek(void *opaque, int64_t offset, int whence)
{
    struct stat info;
    if (whence & AVSEEK_SIZE)
        return fstat(*(int *)opaque, &info) == 0 ? info.st_size : AVERROR(errno);
    off_t at = lseek(*(int *)opaque, offset, whence & ~AVSEEK_FORCE);
    return at < 0 ? AVERROR(errno) : at;
}

static int io_refuse(AVFormatContext *format, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

/* ---- streams ---- */

static double real_of(AVRational value)
{
    double real = value.num > 0 && value.den > 0 ? av_q2d(value) : 0;
    return isfinite(real) && real < 1e6 ? real : 0;
}

static bool has_side(const AVStream *stream, enum AVPacketSideDataType type)
{
    return av_stream_get_side_data(stream, type, NULL) != NULL;
}

/* x265's way to write it: chromaticities in units of 0.00002, luminances of 0.0001 cd/m2. */
static void master_put(const AVMasteringDisplayMetadata *data, struct probe_stream *out)
{
    long at[8], light[2];
    if (!data->has_primaries || !data->has_luminance)
        return;
    const AVRational *const points[8] = {&data->display_primaries[1][0], &data->display_primaries[1][1],
                                         &data->display_primaries[2][0], &data->display_primaries[2][1],
                                         &data->display_primaries[0][0], &data->display_primaries[0][1],
                                         &data->white_point[0],          &data->white_point[1]};
    for (int i = 0; i < 8; i++) {
        at[i] = lrint(real_of(*points[i]) * 50000);
        if (at[i] < 0 || at[i] > 50000)
            return;
    }
    light[0] = lrint(real_of(data->max_luminance) * 10000);
    light[1] = lrint(real_of(data->min_luminance) * 10000);
    snprintf(out->master, sizeof(out->master), "G(%ld,%ld)B(%ld,%ld)R(%ld,%ld)WP(%ld,%ld)L(%ld,%ld)", at[0], at[1], at[2], at[3],
             at[4], at[5], at[6], at[7], light[0], light[1]);
}

static void light_put(const AVContentLightMetadata *data, struct probe_stream *out)
{
    out->cll = data->MaxCLL < 100000 ? data->MaxCLL : 0;
    out->fall = data->MaxFALL < 100000 ? data->MaxFALL : 0;
}

static void video_sides(const AVStream *stream, struct probe_stream *out)
{
    size_t size;
    const void *data = av_stream_get_side_data(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, &size);
    if (data && size >= sizeof(AVMasteringDisplayMetadata))
        master_put(data, out);
    data = av_stream_get_side_data(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, &size);
    if (data && size >= sizeof(AVContentLightMetadata))
        light_put(data, out);
    data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (data && size >= 9 * sizeof(int32_t)) {
        double turn = av_display_rotation_get(data);
        out->rotation = isfinite(turn) ? (int)lrint(-turn) % 360 : 0;
    }
    out->spherical = has_side(stream, AV_PKT_DATA_SPHERICAL);
    out->stereo = has_side(stream, AV_PKT_DATA_STEREO3D);
    out->dolby_vision = has_side(stream, AV_PKT_DATA_DOVI_CONF);
    out->hdr10_plus = has_side(stream, AV_PKT_DATA_DYNAMIC_HDR10_PLUS);
}

static void video_put(const AVStream *stream, struct probe_stream *out)
{
    const AVCodecParameters *par = stream->codecpar;
    const AVPixFmtDescriptor *pixels = av_pix_fmt_desc_get(par->format);
    double average = real_of(stream->avg_frame_rate), real = real_of(stream->r_frame_rate);
    out->width = par->width > 0 ? (unsigned)par->width : 0;
    out->height = par->height > 0 ? (unsigned)par->height : 0;
    out->depth = pixels ? (unsigned)pixels->comp[0].depth : 0;
    out->fps = average > 0 ? average : real;
    out->variable = average > 0 && real > 0 && fabs(average - real) > 0.02 * average;
    out->interlaced = par->field_order > AV_FIELD_PROGRESSIVE;
    PUT(out->pixels, pixels ? pixels->name : "");
    if (par->extradata_size > 0)
        snprintf(out->headers, sizeof(out->headers), "%016" PRIx64,
                 (uint64_t)XXH3_64bits(par->extradata, (size_t)par->extradata_size));
    if (par->color_primaries != AVCOL_PRI_UNSPECIFIED)
        PUT(out->primaries, av_color_primaries_name(par->color_primaries));
    if (par->color_trc != AVCOL_TRC_UNSPECIFIED)
        PUT(out->transfer, av_color_transfer_name(par->color_trc));
    if (par->color_space != AVCOL_SPC_UNSPECIFIED)
        PUT(out->space, av_color_space_name(par->color_space));
    if (par->color_range != AVCOL_RANGE_UNSPECIFIED)
        PUT(out->range, av_color_range_name(par->color_range));
    video_sides(stream, out);
}

static enum probe_kind kind_of(const AVStream *stream)
{
    switch (stream->codecpar->codec_type) {
    case AVMEDIA_TYPE_VIDEO:
        return stream->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS) ? PROBE_PICTURE
                                                                                                     : PROBE_VIDEO;
    case AVMEDIA_TYPE_AUDIO:
        return PROBE_AUDIO;
    case AVMEDIA_TYPE_SUBTITLE:
        return PROBE_SUBTITLE;
    case AVMEDIA_TYPE_ATTACHMENT:
        return PROBE_ATTACHMENT;
    default:
        return PROBE_DATA;
    }
}

/* Matroska says it in a tag. */
static uint64_t bitrate_of(const AVStream *stream)
{
    const AVDictionaryEntry *tag = av_dict_get(stream->metadata, "BPS", NULL, AV_DICT_IGNORE_SUFFIX);
    int64_t rate = stream->codecpar->bit_rate > 0 ? stream->codecpar->bit_rate : tag ? strtoll(tag->value, NULL, 10) : 0;
    return rate > 0 && rate < INT64_C(1) << 40 ? (uint64_t)rate : 0;
}

static void stream_put(const AVStream *stream, struct probe_stream *out)
{
    const AVCodecParameters *par = stream->codecpar;
    const AVDictionaryEntry *language = av_dict_get(stream->metadata, "language", NULL, 0);
    const AVDictionaryEntry *title = av_dict_get(stream->metadata, "title", NULL, 0);
    *out = (struct probe_stream){.index = (unsigned)stream->index, .kind = kind_of(stream)};
    PUT(out->codec, avcodec_get_name(par->codec_id));
    PUT(out->profile, avcodec_profile_name(par->codec_id, par->profile));
    PUT(out->language, language ? language->value : "");
    PUT(out->title, title ? title->value : "");
    out->standard = stream->disposition & AV_DISPOSITION_DEFAULT;
    out->forced = stream->disposition & AV_DISPOSITION_FORCED;
    out->bitrate = bitrate_of(stream);
    if (stream->duration > 0)
        out->duration = (double)stream->duration * real_of(stream->time_base);
    if (out->kind == PROBE_VIDEO || out->kind == PROBE_PICTURE)
        video_put(stream, out);
    else if (out->kind == PROBE_AUDIO) {
        out->channels = par->ch_layout.nb_channels > 0 ? (unsigned)par->ch_layout.nb_channels : 0;
        out->sample_rate = par->sample_rate > 0 ? (unsigned)par->sample_rate : 0;
    }
}

/* ---- the first frame ---- */

static void frame_put(const AVFrame *frame, struct probe_stream *out)
{
    const AVFrameSideData *master = av_frame_get_side_data(frame, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
    const AVFrameSideData *light = av_frame_get_side_data(frame, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
    if (master && !out->master[0])
        master_put((const AVMasteringDisplayMetadata *)master->data, out);
    if (light && !out->cll)
        light_put((const AVContentLightMetadata *)light->data, out);
    out->hdr10_plus = out->hdr10_plus || av_frame_get_side_data(frame, AV_FRAME_DATA_DYNAMIC_HDR_PLUS);
    out->dolby_vision = out->dolby_vision || av_frame_get_side_data(frame, AV_FRAME_DATA_DOVI_RPU_BUFFER);
}

static bool frame_found(AVCodecContext *codec, const AVPacket *packet, AVFrame *frame, struct probe_stream *out)
{
    if (avcodec_send_packet(codec, packet) < 0 || avcodec_receive_frame(codec, frame) < 0)
        return false;
    frame_put(frame, out);
    return true;
}

/* What HDR brings along may stand in the stream only, so that a frame has to be decoded. */
static void first_frame(AVFormatContext *format, struct probe_stream *out)
{
    const AVCodecParameters *par = format->streams[out->index]->codecpar;
    const AVCodec *decoder = avcodec_find_decoder(par->codec_id);
    AVCodecContext *codec = decoder ? avcodec_alloc_context3(decoder) : NULL;
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    if (codec && packet && frame && avcodec_parameters_to_context(codec, par) >= 0) {
        codec->thread_count = 1;
        bool found = avcodec_open2(codec, decoder, NULL) < 0;
        for (int i = 0; !found && i < FRAME_PACKETS && av_read_frame(format, packet) >= 0; i++) {
            if (packet->stream_index == (int)out->index)
                found = frame_found(codec, packet, frame, out);
            av_packet_unref(packet);
        }
        if (!found)
            frame_found(codec, NULL, frame, out);
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&codec);
}

/* ---- the file ---- */

static void file_put(AVFormatContext *format, struct probe *probe)
{
    PUT(probe->format, format->iformat->name);
    if (format->duration > 0)
        probe->duration = (double)format->duration / AV_TIME_BASE;
    if (format->start_time != AV_NOPTS_VALUE)
        probe->start_us = format->start_time;
    if (format->bit_rate > 0)
        probe->bitrate = (uint64_t)format->bit_rate;
    else if (probe->duration > 0)
        probe->bitrate = (uint64_t)((double)probe->size * 8 / probe->duration);
    probe->chapters = format->nb_chapters;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        if (probe->count == PROBE_STREAMS) {
            probe->more++;
            continue;
        }
        stream_put(format->streams[i], &probe->streams[probe->count++]);
    }
    int best = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    for (unsigned i = 0; i < probe->count; i++)
        if ((int)probe->streams[i].index == best && probe->streams[i].kind == PROBE_VIDEO)
            probe->video = (int)i;
}

static void problem(struct probe *probe, int code)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "", line[PROBE_ERROR];
    av_strerror(code, text, sizeof(text));
    snprintf(line, sizeof(line), "it cannot be read as a video: %s",
             code == AVERROR(EPERM)    ? "it names other files"
             : code == AVERROR(EINVAL) ? "none of the containers known"
                                       : text);
    PUT(probe->error, line);
}

static int format_open(AVFormatContext **format, AVIOContext *io, const char *name)
{
    AVDictionary *options = NULL;
    *format = avformat_alloc_context();
    if (!*format)
        return AVERROR(ENOMEM);
    (*format)->pb = io;
    (*format)->io_open = io_refuse;
    (*format)->flags |= AVFMT_FLAG_CUSTOM_IO;
    av_dict_set(&options, "format_whitelist", formats, 0);
    int rc = avformat_open_input(format, name, NULL, &options);
    av_dict_free(&options);
    return rc < 0 ? rc : avformat_find_stream_info(*format, NULL);
}

int probe_open(struct probe_file *file, int fd, const char *name)
{
    *file = (struct probe_file){.fd = fd};
    unsigned char *buffer = av_malloc(IO_BUFFER);
    if (buffer)
        file->io = avio_alloc_context(buffer, IO_BUFFER, 0, &file->fd, io_read, NULL, io_seek);
    if (!file->io) {
        av_free(buffer);
        return AVERROR(ENOMEM);
    }
    av_log_set_level(AV_LOG_QUIET);
    return format_open(&file->format, file->io, name);
}

void probe_close(struct probe_file *file)
{
    avformat_close_input(&file->format);
    if (file->io)
        av_free(file->io->buffer);
    avio_context_free(&file->io);
}

void probe_read(int fd, const char *name, struct probe *probe)
{
    struct probe_file file;
    *probe = (struct probe){.video = -1};
    if (!probe_identity(fd, probe))
        return;
    int rc = probe_open(&file, fd, name);
    if (rc < 0)
        problem(probe, rc);
    else
        file_put(file.format, probe);
    const struct probe_stream *film = probe_film(probe);
    if (film && probe_is_pq(probe))
        first_frame(file.format, &probe->streams[probe->video]);
    else if (rc >= 0 && !film)
        PUT(probe->error, "it has no video stream");
    else if (film && (film->width == 0 || film->height == 0))
        PUT(probe->error, "its video stream has no size: its header is damaged, or the file is cut short");
    probe_close(&file);
}
